//! TLS that ends at the proxy: handshakes, names, who is let in, certificates that change, and what goes through it.

mod bodies;
mod certificates;
mod clients;
mod ends;
mod handshakes;
mod kernel;
mod names;
mod redirects;
mod tickets;
