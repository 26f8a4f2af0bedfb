"""py-feat's networks as backends of the stages `faces` and `fau`; `adapter` alone imports py-feat."""
