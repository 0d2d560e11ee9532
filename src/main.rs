//! The `ringferry` program.
#![forbid(unsafe_code)]

fn main() -> ringferry::cli::Exit {
    ringferry::cli::main()
}
