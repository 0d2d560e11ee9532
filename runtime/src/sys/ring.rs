//! Making a ring: the flags that pay, dropped one by one where the kernel does not know them; and keeping it to what it is
//! used for.

use io_uring::register::Restriction;
use io_uring::{IoUring, squeue};
use std::fmt;
use std::io;

/// A ring, not yet enabled if it is to be restricted, and what was found while making it.
pub(crate) struct Made {
    pub(crate) ring: IoUring,
    /// IORING_ENTER_NO_IOWAIT may be passed (6.15): waiting is not shown as iowait.
    pub(crate) no_iowait: bool,
}

/// Why no ring could be made. Three different stories for the user.
#[derive(Debug)]
pub enum KernelError {
    /// The kernel has io_uring, but this process may not use it (container seccomp profile, `kernel.io_uring_disabled`).
    Refused(io::Error),
    /// The kernel has no io_uring.
    Missing(io::Error),
    /// The kernel's io_uring is older than 6.1.
    TooOld(&'static str),
    /// Memory or descriptors ran out.
    Resources(io::Error),
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KernelError::Refused(why) => write!(
                f,
                "io_uring is refused to this process ({why}): allow io_uring_setup in the container's seccomp profile, or set sysctl kernel.io_uring_disabled=0"
            ),
            KernelError::Missing(why) => write!(f, "this kernel has no io_uring ({why}): Linux 6.1 or later is needed"),
            KernelError::TooOld(what) => {
                write!(f, "this kernel's io_uring has no {what}: Linux 6.1 or later is needed")
            }
            KernelError::Resources(why) => write!(f, "could not make an io_uring: {why}"),
        }
    }
}

impl std::error::Error for KernelError {}

/// Whether a ring does only what the runtime asks of it, whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingRestriction {
    /// It refuses all other operations, flags and registrations.
    On,
    /// Nobody wanted it.
    Off,
    /// The kernel would not; why.
    Refused(String),
}

/// Makes a ring with `entries` submission entries and eight times as many completion entries: multishot operations
/// complete many times for one submission. One that is `disabled` does nothing before it is [restricted](restrict).
pub(crate) fn make(entries: u32, disabled: bool) -> Result<Made, KernelError> {
    // From all that pays to nothing but what has to be. SINGLE_ISSUER and DEFER_TASKRUN came with 6.0 and 6.1,
    // COOP_TASKRUN with 5.19, SUBMIT_ALL with 5.18. R_DISABLED is older than what a ring cannot be without.
    let mut last = None;
    for level in 0..4 {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(entries * 8);
        if disabled {
            builder.setup_r_disabled();
        }
        if level < 3 {
            builder.setup_submit_all();
        }
        if level < 2 {
            builder.setup_coop_taskrun().setup_single_issuer();
        }
        if level < 1 {
            builder.setup_defer_taskrun();
        }
        match builder.build(entries) {
            Ok(ring) => {
                let params = ring.params();
                if !params.is_feature_ext_arg() || !params.is_feature_nodrop() {
                    return Err(KernelError::TooOld("wait with a timeout"));
                }
                let no_iowait = params.is_feature_no_iowait();
                return Ok(Made { ring, no_iowait });
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = Some(error),
            Err(error) => return Err(classify(error)),
        }
    }
    Err(classify(last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))))
}

/// Restricts a disabled ring to these operations and flags, and to no registration at all; then enables it. The thread
/// that calls this is the one that may submit (SINGLE_ISSUER).
///
/// A kernel that does not know the last of the operations refuses the whole list; it is tried without, and what cannot
/// be restricted is enabled as it is.
pub(crate) fn restrict(ring: &IoUring, opcodes: &[u8], flags: squeue::Flags) -> Result<RingRestriction, KernelError> {
    let submitter = ring.submitter();
    let allow = |opcodes: &[u8]| {
        let flags = Restriction::sqe_flags_allowed(flags.bits());
        let mut list: Vec<_> = opcodes.iter().map(|opcode| Restriction::sqe_op(*opcode)).chain([flags]).collect();
        submitter.register_restrictions(&mut list)
    };
    let outcome = allow(opcodes).or_else(|_| allow(&opcodes[..opcodes.len() - 1]));
    submitter.register_enable_rings().map_err(KernelError::Resources)?;
    Ok(match outcome {
        Ok(()) => RingRestriction::On,
        Err(error) => RingRestriction::Refused(error.to_string()),
    })
}

fn classify(error: io::Error) -> KernelError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => KernelError::Refused(error),
        Some(libc::ENOSYS) => KernelError::Missing(error),
        Some(libc::EINVAL) => KernelError::TooOld("ring of the kind we need"),
        _ => KernelError::Resources(error),
    }
}
