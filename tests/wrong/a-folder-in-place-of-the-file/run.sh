mkdir conf
triaged check --config conf
