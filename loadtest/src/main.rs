//! triaged-storm: rehearses a brand's worst day.
fn main() {}
