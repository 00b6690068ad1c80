cp policy/policy.toml shared.toml
ln -s ../shared.toml policy/more.toml
triaged check --config triaged.toml
