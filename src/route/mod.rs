//! Routing: which site and which of its routes answer a request, from a listener, a host and a path.
//!
//! A [`Table`] is compiled once from a configuration and never changes. A lookup costs as much as the host has labels
//! and the path has segments, however many sites there are, and allocates nothing. What a route does is not known
//! here, nor how a path is read: both come from outside.

mod explain;
mod host;
mod path;
mod table;
#[cfg(test)]
mod tests;

pub use explain::{Candidate, Explanation, Verdict, explain};
pub use host::Hosts;
pub use table::{Found, NoRoute, Table};
