//! The program: the allocator, and the way into the command line. Owns nothing else.
//!
//! What the daemon does is told by `pipeline`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    triaged::cli::main()
}
