//! The `ringferry` program.
#![forbid(unsafe_code)]

// Off by default; figures beside the system's allocator: ARCHITECTURE.md, "The binary".
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ringferry::cli::Exit {
    ringferry::cli::main()
}
