//! seccomp: system calls that a proxy never makes are refused, to every thread.
//!
//! A list of what is refused, not of what is allowed: which calls the C library, the allocator and the resolver's
//! modules make differs from version to version and from processor to processor, and one that is missing from a list
//! would end a connection, or the process, years later. What is listed here is what turns control over a process into
//! more: new rings (what a ring does is not seen here), programs, other processes, mounts, namespaces, the kernel
//! itself.
//!
//! Programs are refused as well, although a new version will have to take over from a running one some day: a filter
//! and Landlock rules outlive `execve`, so what was started from here could make no ring. Whoever starts it has to be
//! outside: the verb itself, or systemd.

use super::{on, unavailable};
use crate::control::MeasureStatus;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads, sock_filter,
};
use std::collections::BTreeMap;
use std::env::consts::ARCH;

/// Refuses them to all threads that there are, and to those that they start.
pub(super) fn refuse() -> MeasureStatus {
    let Ok(arch) = TargetArch::try_from(ARCH) else {
        return unavailable(format!("there is no filter for processors of the kind {ARCH}"));
    };
    let applied = programs(arch).and_then(|programs| programs.iter().try_for_each(install));
    match applied {
        Ok(()) => on(""),
        Err(error) => unavailable(format!("the kernel refuses it: {}", explained(&error))),
    }
}

fn install(program: &BpfProgram) -> Result<(), Error> {
    apply_filter_all_threads(program)
}

fn explained(error: &Error) -> String {
    match error {
        Error::Seccomp(why) | Error::Prctl(why) => why.to_string(),
        other => other.to_string(),
    }
}

/// Two filters, for a call is refused in one of two ways.
fn programs(arch: TargetArch) -> Result<[BpfProgram; 2], Error> {
    let refused = |errno: i32, rules| -> Result<BpfProgram, Error> {
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch)?;
        Ok(BpfProgram::try_from(filter)?)
    };
    // Its flags lie in memory, where a filter cannot look. Told that there is none, the C library uses clone.
    let unknown = refused(libc::ENOSYS, BTreeMap::from([(number(libc::SYS_clone3), Vec::new())]))?;
    let mut rules: BTreeMap<_, _> = NEVER.iter().map(|call| (number(*call), Vec::new())).collect();
    rules.extend(conditional()?);
    let mut forbidden = other_numbers(arch);
    forbidden.extend(refused(libc::EPERM, rules)?);
    Ok([unknown, forbidden])
}

/// Calls that are refused by their arguments.
fn conditional() -> Result<[(i64, Vec<SeccompRule>); 3], Error> {
    let argument = |number, is, value| SeccompCondition::new(number, SeccompCmpArgLen::Dword, is, value);
    let is = |number, value: i64| argument(number, SeccompCmpOp::Eq, value as u64);
    let is_not = |number, value: i32| argument(number, SeccompCmpOp::Ne, value as u64);
    let any_of = |flags: i32| argument(0, SeccompCmpOp::MaskedEq(flags as u64), flags as u64);

    // Namespaces are where one may do as root does; each kind has been the way to a fault of the kernel.
    let namespaces = NAMESPACES.iter().map(|flag| SeccompRule::new(vec![any_of(*flag)?]));
    // Clients, servers, the log's and the resolver's sockets; the rest are faults of the kernel that wait to be found.
    let other_families = FAMILIES.iter().map(|family| is_not(0, *family)).collect::<Result<_, _>>()?;
    let other_netlink = vec![is(0, libc::AF_NETLINK.into())?, is_not(2, libc::NETLINK_ROUTE)?];
    // Both type into the terminal that we were started from.
    let typing = [libc::TIOCSTI as i64, libc::TIOCLINUX as i64].map(|request| SeccompRule::new(vec![is(1, request)?]));
    Ok([
        (number(libc::SYS_clone), namespaces.collect::<Result<_, _>>()?),
        (number(libc::SYS_socket), vec![SeccompRule::new(other_families)?, SeccompRule::new(other_netlink)?]),
        (number(libc::SYS_ioctl), typing.into_iter().collect::<Result<_, _>>()?),
    ])
}

#[allow(clippy::useless_conversion, reason = "a c_long has 32 bits on some processors")]
fn number(call: libc::c_long) -> i64 {
    call.into()
}

/// On x86-64 every call has a second number (x32), which a list of numbers would not see.
fn other_numbers(arch: TargetArch) -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, at offset 0 of seccomp_data
    const JUMP_IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const X32: u32 = 0x4000_0000;
    if arch != TargetArch::x86_64 {
        return BpfProgram::new();
    }
    let operation = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        operation(LOAD_NUMBER, 0, 0, 0),
        operation(JUMP_IF_AT_LEAST, 0, 1, X32),
        operation(RETURN, 0, 0, SeccompAction::Errno(libc::EPERM as u32).into()),
    ]
}

/// What the sockets are of that a proxy makes: netlink tells the resolver which addresses this machine has.
const FAMILIES: &[i32] = &[libc::AF_INET, libc::AF_INET6, libc::AF_UNIX, libc::AF_NETLINK];

const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Calls that a proxy never makes, whatever their arguments.
const NEVER: &[libc::c_long] = &[
    // Rings: there are all that there will be. The old kind of asynchronous files.
    libc::SYS_io_uring_setup,
    libc::SYS_io_setup,
    // Programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes: their memory, their descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Files without their paths, which would pass by the rights on folders.
    libc::SYS_open_by_handle_at,
    // Mounts and roots, namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    // The kernel: its modules, its successor, programs in it, what it keeps for others, what looks into it.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_syslog,
    // The machine: its power, its clock, its name, its disks.
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_vhangup,
    // How calls and memory are meant.
    libc::SYS_personality,
    #[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_env = "gnu")))]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_filters_for_the_processors_of_boards_and_they_fit_the_kernel() {
        for arch in [TargetArch::x86_64, TargetArch::aarch64, TargetArch::riscv64] {
            for program in programs(arch).unwrap() {
                // BPF_MAXINSNS of the kernel.
                assert!((4..4096).contains(&program.len()), "{arch:?}: {}", program.len());
            }
        }
    }

    /// What a program answers to a call; the few operations that filters are made of.
    fn answer(program: &BpfProgram, arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        // struct seccomp_data: number, architecture, instruction pointer, arguments.
        let words = [number, arch, 0, 0].into_iter();
        let words: Vec<u32> =
            words.chain(arguments.into_iter().flat_map(|word| [word as u32, (word >> 32) as u32])).collect();
        let (mut at, mut value) = (0, 0u32);
        loop {
            let operation = &program[at];
            let jump = |yes: bool| 1 + usize::from(if yes { operation.jt } else { operation.jf });
            at += match operation.code {
                0x06 => return operation.k,
                0x20 => {
                    value = words[operation.k as usize / 4];
                    1
                }
                0x54 => {
                    value &= operation.k;
                    1
                }
                0x05 => 1 + operation.k as usize,
                0x15 => jump(value == operation.k),
                0x25 => jump(value > operation.k),
                0x35 => jump(value >= operation.k),
                code => panic!("operation {code:#x}"),
            };
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_second_number_of_a_call_is_refused_as_well() {
        const ARCH: u32 = 0xc000_003e;
        const X32: u32 = 0x4000_0000;
        let [unknown, forbidden] = programs(TargetArch::x86_64).unwrap();
        let allow = u32::from(SeccompAction::Allow);
        let refuse = |errno: i32| u32::from(SeccompAction::Errno(errno as u32));
        let check = |number: libc::c_long, arguments: &[i32], expect: u32| {
            let mut all = [0; 6];
            all.iter_mut().zip(arguments).for_each(|(place, value)| *place = *value as u64);
            assert_eq!(answer(&forbidden, ARCH, number as u32, all), expect, "{number} {arguments:?}");
            assert_eq!(answer(&forbidden, ARCH, number as u32 | X32, all), refuse(libc::EPERM));
        };
        NEVER.iter().for_each(|call| check(*call, &[], refuse(libc::EPERM)));
        check(libc::SYS_read, &[], allow);
        check(libc::SYS_clone, &[libc::CLONE_VM | libc::CLONE_THREAD], allow);
        check(libc::SYS_clone, &[libc::CLONE_VM | libc::CLONE_NEWUSER], refuse(libc::EPERM));
        check(libc::SYS_socket, &[libc::AF_INET6, libc::SOCK_STREAM, 0], allow);
        check(libc::SYS_socket, &[libc::AF_UNIX, libc::SOCK_DGRAM, 0], allow);
        check(libc::SYS_socket, &[libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE], allow);
        check(libc::SYS_socket, &[libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER], refuse(libc::EPERM));
        check(libc::SYS_socket, &[libc::AF_PACKET, libc::SOCK_RAW, 0], refuse(libc::EPERM));
        check(libc::SYS_ioctl, &[0, libc::FIONREAD as i32], allow);
        check(libc::SYS_ioctl, &[0, libc::TIOCSTI as i32], refuse(libc::EPERM));
        assert_eq!(answer(&unknown, ARCH, libc::SYS_clone3 as u32, [0; 6]), refuse(libc::ENOSYS));
        assert_eq!(answer(&unknown, ARCH, libc::SYS_clone as u32, [0; 6]), allow);
    }

    #[test]
    fn what_the_runtime_lives_on_is_not_among_what_is_refused() {
        let needed = [
            libc::SYS_io_uring_enter,
            libc::SYS_futex,
            libc::SYS_clone,
            libc::SYS_socket,
            libc::SYS_bind,
            libc::SYS_openat,
            libc::SYS_mprotect,
            libc::SYS_splice,
            // On epoll.
            libc::SYS_epoll_create1,
            libc::SYS_epoll_ctl,
            libc::SYS_epoll_pwait,
            libc::SYS_epoll_pwait2,
            libc::SYS_eventfd2,
            libc::SYS_accept4,
            libc::SYS_connect,
            libc::SYS_recvfrom,
            libc::SYS_recvmsg,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_close,
        ];
        assert!(needed.iter().all(|call| !NEVER.contains(call)));
    }
}
