//! Making a ring, with the flags that pay and without the one that a kernel may lack; and keeping it to what it is used
//! for.

use io_uring::register::Restriction;
use io_uring::{IoUring, squeue};
use std::fmt;
use std::io;

/// A ring, not yet enabled if it is to be restricted, and what was found while making it.
pub(crate) struct Made {
    pub(crate) ring: IoUring,
    /// What the kernel has to do for it is done when the core waits, and not in between (DEFER_TASKRUN, 6.1).
    pub(crate) deferred: bool,
    /// IORING_ENTER_NO_IOWAIT may be passed (6.15): waiting is not shown as iowait.
    pub(crate) no_iowait: bool,
}

/// Why no ring could be made, which are different stories for the user; or no core at all.
#[derive(Debug)]
pub enum KernelError {
    /// The machine has io_uring switched off, for all or for this process (sysctl `kernel.io_uring_disabled`, 6.6).
    Disabled(io::Error),
    /// The kernel has io_uring, but this process may not use it: a seccomp profile, as containers have one.
    Refused(io::Error),
    /// The kernel has no io_uring, or a seccomp profile says so.
    Missing(io::Error),
    /// The kernel's io_uring is older than 6.1.
    TooOld(&'static str),
    /// Memory or descriptors ran out.
    Resources(io::Error),
}

impl KernelError {
    /// What happened.
    pub fn cause(&self) -> String {
        match self {
            KernelError::Disabled(why) => format!("io_uring is switched off on this machine ({why})"),
            KernelError::Refused(why) => format!("io_uring is refused to this process ({why})"),
            KernelError::Missing(why) => {
                format!("this kernel has no io_uring, or a seccomp profile hides it ({why})")
            }
            KernelError::TooOld(what) => format!("this kernel's io_uring has no {what}"),
            KernelError::Resources(why) => format!("a core cannot be made ({why})"),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            KernelError::Disabled(_) => "set sysctl kernel.io_uring_disabled=0",
            KernelError::Refused(_) => {
                "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile \
                 (docker: --security-opt seccomp=FILE)"
            }
            KernelError::Missing(_) | KernelError::TooOld(_) => "Linux 6.1 or later is needed",
            KernelError::Resources(_) => {
                "it needs memory, some of it locked, and descriptors; raise `ulimit -n` and `ulimit -l`"
            }
        }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause(), self.remedy())
    }
}

impl std::error::Error for KernelError {}

/// Whether a ring does only what the runtime asks of it, whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingRestriction {
    /// It refuses all other operations, flags and registrations.
    On,
    /// Nobody wanted it, or there is no ring.
    Off,
    /// The kernel would not; why.
    Refused(String),
}

/// Makes a ring with `entries` submission entries and eight times as many completion entries: multishot operations
/// complete many times for one submission. One that is `disabled` does nothing before it is [restricted](restrict).
pub(crate) fn make(entries: u32, disabled: bool) -> Result<Made, KernelError> {
    // SINGLE_ISSUER came with 6.0, like the receives and accepts that complete many times: a kernel that refuses it
    // would make a ring, and then refuse those. DEFER_TASKRUN came with 6.1. R_DISABLED is older than either.
    let mut last = None;
    for defer in [true, false] {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(entries * 8).setup_submit_all().setup_coop_taskrun().setup_single_issuer();
        if disabled {
            builder.setup_r_disabled();
        }
        if defer {
            builder.setup_defer_taskrun();
        }
        match builder.build(entries) {
            Ok(ring) => {
                let params = ring.params();
                if !params.is_feature_ext_arg() || !params.is_feature_nodrop() {
                    return Err(KernelError::TooOld("wait with a timeout"));
                }
                let no_iowait = params.is_feature_no_iowait();
                return Ok(Made { ring, deferred: defer, no_iowait });
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = Some(error),
            Err(error) => return Err(classify(error)),
        }
    }
    Err(classify(last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))))
}

/// Restricts a disabled ring to these operations and flags, and to no registration at all; then enables it. The thread
/// that calls this is the one that may submit (SINGLE_ISSUER). One that cannot be restricted is enabled as it is.
pub(crate) fn restrict(ring: &IoUring, opcodes: &[u8], flags: squeue::Flags) -> Result<RingRestriction, KernelError> {
    let submitter = ring.submitter();
    let flags = Restriction::sqe_flags_allowed(flags.bits());
    let mut list: Vec<_> = opcodes.iter().map(|opcode| Restriction::sqe_op(*opcode)).chain([flags]).collect();
    let outcome = submitter.register_restrictions(&mut list);
    submitter.register_enable_rings().map_err(KernelError::Resources)?;
    Ok(match outcome {
        Ok(()) => RingRestriction::On,
        Err(error) => RingRestriction::Refused(error.to_string()),
    })
}

fn classify(error: io::Error) -> KernelError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if is_switched_off() => KernelError::Disabled(error),
        Some(libc::EPERM | libc::EACCES) => KernelError::Refused(error),
        Some(libc::ENOSYS) => KernelError::Missing(error),
        Some(libc::EINVAL) => KernelError::TooOld("ring of the kind we need"),
        _ => KernelError::Resources(error),
    }
}

/// Read at start only, by the thread that wanted a ring. Where it cannot be read it is not what refuses.
fn is_switched_off() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|value| value.trim() != "0")
}
