"""One file a prior; see functa_cli.prior for the contract. Import-free, so that listing costs nothing."""
