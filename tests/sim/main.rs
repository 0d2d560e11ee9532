//! The whole data plane in a simulated world: clients, servers, and everything that can go wrong between them, all of it
//! decided by a seed. A seed that fails is replayed bit for bit.
//!
//! `cargo test --test sim` runs 256 seeds, replays one, and looks for planted bugs. `SEED=123 cargo test --test sim` runs one,
//! and prints what happened. `cargo test --profile sweep --test sim -- --seeds 100000` runs as many as are wanted.

mod client;
mod datagrams;
mod draw;
mod end;
mod ledger;
mod loader;
mod pattern;
mod plan;
mod proxy;
mod scene;
mod server;
mod sweep;

use std::process::ExitCode;

fn main() -> ExitCode {
    let asked = match sweep::Asked::read(std::env::args().skip(1), std::env::var("SEED").ok()) {
        Ok(asked) => asked,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    if sweep::run(&asked) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
