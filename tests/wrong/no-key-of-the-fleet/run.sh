grep -v -e hash_key -e fleet policy/policy.toml >kept
mv kept policy/policy.toml
triaged check --config triaged.toml
