"""One file a modality; see functa_cli.modality for the contract. Import-free, so that listing costs nothing."""
