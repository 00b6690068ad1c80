sed -i 's/ddeeff/ddeef/' policy/policy.toml
triaged check --config triaged.toml
