//! The `ringferry` program.
#![forbid(unsafe_code)]

// Figures beside the system's allocator: ARCHITECTURE.md, "The binary".
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ringferry::cli::Exit {
    ringferry::cli::main()
}
