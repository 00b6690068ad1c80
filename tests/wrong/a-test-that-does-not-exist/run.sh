triaged test policy/tests/television.toml --only "shows nothin at all"
