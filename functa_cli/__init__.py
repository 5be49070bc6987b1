"""functa: arrays become functasets, one small vector of modulations for each datum (Dupont, Kim et al., 2022)."""

__version__ = "0.1.0"
