//! Behaviour of the whole program, seen from outside: real sockets, real clients, no external program.
//!
//! One module for each subject. What the single parts promise is tested beside their code.
#![forbid(unsafe_code)]

mod support;
