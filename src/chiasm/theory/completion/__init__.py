"""Matrix completion by deep factorisations whose task is switched."""
