"""What cameras see: compositing against closed forms and a plain loop, depth, and the jitter of samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli import render
from functa_cli.config import RenderConfig
from functa_cli.coords import rays

AHEAD = jnp.array([[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.1, 0.2, 0.0, 0.0, 0.6, 0.8]])


def field_of(colour, raw):
    """A field of one colour and raw density everywhere."""
    return lambda x: jnp.concatenate([jnp.full((*x.shape[:-1], 3), colour), jnp.full((*x.shape[:-1], 1), raw)], -1)


def volume(**options) -> render.Renderer:
    return render.make(RenderConfig(kind="volume", **options))


def by_loop(field, ray, config: RenderConfig) -> np.ndarray:
    """Colour along one ray, sample by sample, as the released code says it."""
    distances = np.linspace(config.near, config.far, config.samples)
    light, colour = 1.0, np.zeros(3)
    for place, t in enumerate(distances):
        value = np.asarray(field(jnp.asarray(ray[:3] + t * ray[3:])[None]))[0].astype(np.float64)
        raw = value[3]
        density = np.clip((raw if raw > 0 else 0.1 * np.expm1(raw)) + 0.1, 0.0, 10.0)
        gap = distances[place + 1] - t if place + 1 < len(distances) else 1e-3
        alpha = 1.0 - np.exp(-density * gap * np.linalg.norm(ray[3:]))
        colour += light * alpha * value[:3]
        light *= 1.0 - alpha
    return colour + light * (1.0 if config.background == "white" else 0.0)


@pytest.mark.parametrize("background", ["white", "black"])
def test_colours_are_those_of_the_plain_loop(background):
    config = RenderConfig(kind="volume", samples=9, near=0.5, far=2.5, background=background)

    def field(x):
        return jnp.stack([jnp.sin(3 * x[..., 0]), x[..., 1], x[..., 2] / 3, 4 * jnp.sin(5 * x.sum(-1))], -1)

    found = render.make(config).render(field, AHEAD)
    want = [by_loop(field, np.asarray(ray), config) for ray in AHEAD]
    np.testing.assert_allclose(found, want, atol=2e-6)


def test_nothing_in_the_way_shows_the_background_and_a_wall_shows_itself():
    empty = field_of(0.3, -100.0)  # ELU(-100, 0.1) + 0.1 = 0
    np.testing.assert_allclose(volume().render(empty, AHEAD), 1.0, atol=1e-6)
    np.testing.assert_allclose(volume(background="black").render(empty, AHEAD), 0.0, atol=1e-6)
    wall = field_of(0.3, 100.0)
    np.testing.assert_allclose(volume(near=0.0, far=5.0).render(wall, AHEAD), 0.3, atol=1e-4)


def test_depth_is_where_the_light_ends():
    def slab(x):
        return jnp.concatenate([jnp.zeros((*x.shape[:-1], 3)), jnp.where(x[..., 2:] > 1.2, 1e3, -1e3)], -1)

    depth = render.make(RenderConfig(kind="depth", samples=401, near=0.8, far=2.8))
    found = depth.render(slab, AHEAD[:1])
    assert found.shape == (1, 1)
    assert float(found[0, 0]) == pytest.approx(1.3, abs=0.02)  # the density is at most 10: a tenth deep on average
    assert float(depth.render(field_of(0.0, -1e3), AHEAD[:1])[0, 0]) == pytest.approx(2.8)


def test_jitter_belongs_to_the_ray_stays_in_its_interval_and_averages_out():
    many = jnp.asarray(np.random.default_rng(0).normal(size=(4000, 6)), jnp.float32)
    noise = np.asarray(render._noise(many, 8))
    np.testing.assert_array_equal(noise, render._noise(many, 8))
    assert noise.min() >= 0
    assert noise.max() < 1
    np.testing.assert_allclose(noise.mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose(np.corrcoef(noise.T), np.eye(8), atol=0.08)
    still, moved = (volume(samples=5, stratified=on).render(lambda x: jnp.tile(x[..., :1], 4), many) for on in (0, 1))
    assert not np.allclose(still, moved)


def test_gradients_exist_to_second_order_everywhere():
    def loss(scale):
        return volume(samples=4).render(lambda x: scale * jnp.tile(x[..., :1] - 0.05, 4), AHEAD).sum()

    for scale in (-3.0, 0.0, 0.5, 60.0):
        assert np.isfinite(jax.grad(loss)(scale))
        assert np.isfinite(jax.grad(jax.grad(loss))(scale))


def test_rays_of_a_camera_at_the_origin_go_through_the_centres_of_pixels():
    row, column = np.divmod(np.arange(6), 3)
    found = rays(np.eye(4), 2.0, (1.5, 1.0), row, column)
    np.testing.assert_allclose(found[:, :3], 0)
    np.testing.assert_allclose(
        found[4], [0, 0, 0, 0, 0.25, 1]
    )  # y down, z forward: the middle column, half a pixel down
    pose = np.array([[0, 0, 1, 5], [1, 0, 0, 6], [0, 1, 0, 7], [0, 0, 0, 1.0]])
    turned = rays(pose, 2.0, (1.5, 1.0), row, column)
    np.testing.assert_allclose(turned[:, :3], [[5, 6, 7]] * 6)
    np.testing.assert_allclose(turned[:, 3:], found[:, 3:] @ pose[:3, :3].T, atol=1e-6)
