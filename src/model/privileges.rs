//! What the process gives up once it does not need it any more. Their defaults, each with its why, are in
//! `config::defaults`.

/// Each of these can be had without the others, but that the kernel takes `landlock` and `seccomp` only together with
/// `no_new_privs`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Privileges {
    /// The user to become, by name or number; `None` stays who it is.
    pub user: Option<String>,
    /// No program that is run from here on has more rights than we have (setuid, file capabilities).
    pub no_new_privs: bool,
    /// Files are reached only where the configuration, certificates and name resolution need them.
    pub landlock: bool,
    /// Rings refuse what a proxy never asks of them.
    pub restrict_rings: bool,
    /// System calls that a proxy never makes are refused.
    pub seccomp: bool,
}
