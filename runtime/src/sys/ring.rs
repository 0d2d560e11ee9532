//! Making a ring: the flags that pay, dropped one by one where the kernel does not know them.

use io_uring::IoUring;
use std::fmt;
use std::io;

/// A ring and what was found while making it.
pub(crate) struct Made {
    pub(crate) ring: IoUring,
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

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KernelError::Disabled(why) => {
                write!(f, "io_uring is switched off on this machine ({why}): set sysctl kernel.io_uring_disabled=0")
            }
            KernelError::Refused(why) => write!(
                f,
                "io_uring is refused to this process ({why}): allow io_uring_setup, io_uring_enter and \
                 io_uring_register in the container's seccomp profile (docker: --security-opt seccomp=FILE)"
            ),
            KernelError::Missing(why) => write!(
                f,
                "this kernel has no io_uring, or a seccomp profile hides it ({why}): Linux 6.1 or later is needed"
            ),
            KernelError::TooOld(what) => {
                write!(f, "this kernel's io_uring has no {what}: Linux 6.1 or later is needed")
            }
            KernelError::Resources(why) => write!(
                f,
                "a core cannot be made ({why}): it needs memory and descriptors; raise `ulimit -n`, and `ulimit -l` \
                 on old kernels"
            ),
        }
    }
}

impl std::error::Error for KernelError {}

/// Makes a ring with `entries` submission entries and eight times as many completion entries: multishot operations
/// complete many times for one submission.
pub(crate) fn make(entries: u32) -> Result<Made, KernelError> {
    // SINGLE_ISSUER came with 6.0, like the receives and accepts that complete many times: a kernel that refuses it
    // would make a ring, and then refuse those. DEFER_TASKRUN came with 6.1.
    let mut last = None;
    for defer in [true, false] {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(entries * 8).setup_submit_all().setup_coop_taskrun().setup_single_issuer();
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
                return Ok(Made { ring, no_iowait });
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = Some(error),
            Err(error) => return Err(classify(error)),
        }
    }
    Err(classify(last.unwrap_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))))
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
