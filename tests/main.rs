//! Behaviour of the whole program, seen from outside: real sockets, real clients, no external program.
//!
//! One module for each subject; `layers` reads the sources instead. What the single parts promise is tested beside
//! their code.
#![forbid(unsafe_code)]

mod layers;
mod support;
