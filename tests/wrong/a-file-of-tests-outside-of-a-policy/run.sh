cp policy/policy.toml other.toml
triaged test other.toml
