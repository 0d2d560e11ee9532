//! Routing: which site and which of its routes answer a request, from a listener, a host and a path.
//!
//! A [`Table`] is compiled once from a configuration and never changes. A lookup costs as much as the host has labels
//! and the path has segments, however many sites there are, and allocates nothing. What a route does is not known
//! here, nor how a path is read: both come from outside.

mod explain;
mod host;
mod https;
mod path;
mod table;
#[cfg(test)]
mod tests;

pub use explain::{Asked, Candidate, Explanation, Outcome, Verdict, explain, explain_name};
pub use host::Hosts;
pub use https::https_origin;
pub use table::{Found, NoRoute, Table};
