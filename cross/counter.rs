//! Counts the instructions that processes retire while a command runs, in user mode and in the kernel.
//!   counter [-s NANOSECONDS] PID... -- COMMAND [ARG...]
//! With `-s` it also says where, by place in a file and by function of the kernel. It looks whenever so much time has
//! passed, 10 µs at least; on a clock that moves with each instruction that is every so many instructions. (Counters that
//! interrupt would be the obvious way, but QEMU 7.2 lets nearly all of their interrupts pass.)
//!
//! Runs on an emulated board whose processor counts exactly (`cross/boot -i`). One file without dependencies, so that
//! `rustc` alone builds it. Threads that start while it counts are counted, but not sampled.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::process::Command;
use std::{fs, io, ptr};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn read(descriptor: c_int, buffer: *mut u64, count: usize) -> isize;
    fn ioctl(descriptor: c_int, request: c_ulong, ...) -> c_int;
    fn mmap(
        address: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn sysconf(name: c_int) -> c_long;
}

#[cfg(target_arch = "aarch64")]
const PERF_EVENT_OPEN: c_long = 241;
#[cfg(target_arch = "x86_64")]
const PERF_EVENT_OPEN: c_long = 298;
const ENABLE: c_ulong = 0x2400;
const DISABLE: c_ulong = 0x2401;

/// Addresses of the kernel are the upper half.
const KERNEL_FROM: u64 = 1 << 63;

/// What is left out of a count.
const USER: u64 = 1 << 4;
const KERNEL: u64 = 1 << 5;

/// `perf_event_attr` in its first version.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    more: u64,
}

/// What a thread is watched for: instructions, on what it starts as well; or where it is, every so often.
#[derive(Clone, Copy)]
enum Watch {
    Instructions { left_out: u64 },
    Places { period_ns: u64 },
}

/// A watch on one thread that does not run yet.
fn open(thread: i32, watch: Watch) -> c_int {
    const HARDWARE: u32 = 0;
    const INSTRUCTIONS: u64 = 1;
    const SOFTWARE: u32 = 1;
    const CPU_CLOCK: u64 = 0;
    const PLACE: u64 = 1;
    const DISABLED: u64 = 1;
    const INHERIT: u64 = 1 << 1;
    let (kind, config, period, sample_type, flags) = match watch {
        Watch::Instructions { left_out } => (HARDWARE, INSTRUCTIONS, 0, 0, left_out | INHERIT),
        Watch::Places { period_ns } => (SOFTWARE, CPU_CLOCK, period_ns, PLACE, 0),
    };
    let attributes = Attributes {
        kind,
        size: size_of::<Attributes>() as u32,
        config,
        period,
        sample_type,
        read_format: 0,
        flags: DISABLED | flags,
        wakeup: 0,
        breakpoint: 0,
        more: 0,
    };
    let any: c_int = -1;
    // SAFETY: the kernel reads the attributes, which outlive the call.
    let descriptor = unsafe { syscall(PERF_EVENT_OPEN, &raw const attributes, thread, any, any, 0 as c_ulong) };
    if descriptor < 0 {
        fail(&format!("instructions cannot be counted: {}", io::Error::last_os_error()));
    }
    descriptor as c_int
}

/// The ring in which the kernel leaves the places of one thread.
struct Ring {
    descriptor: c_int,
    page: usize,
    memory: *mut u8,
}

impl Ring {
    const BYTES: usize = 4 << 20;

    fn new(descriptor: c_int) -> Ring {
        const PAGE_SIZE: c_int = 30;
        // SAFETY: no pointers; then a mapping of our own, which is never unmapped.
        let (page, memory) = unsafe {
            let page = sysconf(PAGE_SIZE) as usize;
            (page, mmap(ptr::null_mut(), page + Self::BYTES, 3, 1, descriptor, 0))
        };
        if memory.addr() == usize::MAX {
            fail(&format!("no memory for samples: {}", io::Error::last_os_error()));
        }
        Ring { descriptor, page, memory: memory.cast() }
    }

    /// Calls with each place. After the watch has been stopped.
    fn places(&self, mut each: impl FnMut(u64)) {
        const SAMPLE: u32 = 9;
        const HEAD: usize = 1024;
        // SAFETY: within the mapping, whose first page the kernel lays out so.
        let head = unsafe { self.memory.add(HEAD).cast::<u64>().read_volatile() } as usize;
        // Records are multiples of 8 bytes, so no word of them wraps around.
        let word = |at: usize| {
            // SAFETY: within the mapping.
            unsafe { self.memory.add(self.page + at % Self::BYTES).cast::<u64>().read_volatile() }
        };
        let mut at = 0;
        while at < head {
            let header = word(at);
            if header as u32 == SAMPLE {
                each(word(at + 8));
            }
            at += (header >> 48) as usize;
        }
        if head >= Self::BYTES {
            fail("more samples than there is memory for: look less often, or for a shorter time");
        }
    }
}

fn main() {
    let mut words = std::env::args().skip(1).peekable();
    let mut period_ns = 0;
    if words.next_if_eq("-s").is_some() {
        period_ns = words.next().and_then(|word| word.parse().ok()).unwrap_or_else(|| fail("-s NANOSECONDS"));
    }
    let processes: Vec<String> = words.by_ref().take_while(|word| word != "--").collect();
    let command: Vec<String> = words.collect();
    if processes.is_empty() || command.is_empty() {
        fail("counter [-s NANOSECONDS] PID... -- COMMAND [ARG...]");
    }

    let (mut user, mut kernel, mut rings) = (vec![], vec![], vec![]);
    for process in &processes {
        let threads =
            fs::read_dir(format!("/proc/{process}/task")).unwrap_or_else(|error| fail(&format!("{process}: {error}")));
        for thread in threads.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            user.push(open(thread, Watch::Instructions { left_out: KERNEL }));
            kernel.push(open(thread, Watch::Instructions { left_out: USER }));
            if period_ns > 0 {
                rings.push((process, Ring::new(open(thread, Watch::Places { period_ns }))));
            }
        }
    }

    let sampling = rings.iter().map(|(_, ring)| ring.descriptor);
    let all: Vec<c_int> = user.iter().chain(&kernel).copied().chain(sampling).collect();
    // SAFETY: no pointers.
    let each = |request| all.iter().for_each(|&counter| _ = unsafe { ioctl(counter, request, 0) });
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .spawn()
        .unwrap_or_else(|error| fail(&format!("{}: {error}", command[0])));
    each(ENABLE);
    let status = child.wait().expect("a child of ours");
    each(DISABLE);

    println!("COUNTED user {} kernel {}", sum(&user), sum(&kernel));
    for ((file, offset), times) in by_file(&rings) {
        println!("SAMPLES {file} {offset:016x} {times}");
    }
    for (function, times) in by_function(&rings) {
        println!("SAMPLES kernel {function} {times}");
    }
    std::process::exit(status.code().unwrap_or(128));
}

fn sum(counters: &[c_int]) -> u64 {
    let value = |&counter: &c_int| {
        let mut value = 0;
        // SAFETY: eight bytes into a value of eight.
        let got = unsafe { read(counter, &mut value, 8) };
        if got == 8 { value } else { fail("a counter cannot be read") }
    };
    counters.iter().map(value).sum()
}

/// The places of user mode, from the beginning of the file that is mapped there.
fn by_file(rings: &[(&String, Ring)]) -> BTreeMap<(String, u64), u64> {
    let mut found = BTreeMap::new();
    for (process, ring) in rings {
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
        let maps: Vec<(u64, u64, &str)> = maps.lines().filter_map(mapping).collect();
        ring.places(|place| {
            if place >= KERNEL_FROM {
                return;
            }
            let file = maps.iter().find(|(from, to, _)| (*from..*to).contains(&place)).map_or("?", |(_, _, file)| file);
            let base = maps.iter().find(|(_, _, of)| *of == file).map_or(0, |(from, _, _)| *from);
            *found.entry((file.to_owned(), place - base)).or_default() += 1;
        });
    }
    found
}

fn mapping(line: &str) -> Option<(u64, u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(from)?, number(to)?, words.nth(4).unwrap_or("anonymous")))
}

fn by_function(rings: &[(&String, Ring)]) -> BTreeMap<String, u64> {
    let text = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let mut symbols: Vec<(u64, &str)> = text.lines().filter_map(symbol).collect();
    symbols.sort_unstable();
    let mut found = BTreeMap::new();
    for (_, ring) in rings {
        ring.places(|place| {
            if place < KERNEL_FROM {
                return;
            }
            let next = symbols.partition_point(|(from, _)| *from <= place);
            let name = next.checked_sub(1).map_or("?", |last| symbols[last].1);
            *found.entry(name.to_owned()).or_default() += 1;
        });
    }
    found
}

fn symbol(line: &str) -> Option<(u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    let place = u64::from_str_radix(words.next()?, 16).ok()?;
    let code = matches!(words.next()?, "t" | "T" | "w" | "W");
    // Marks of sections, not functions.
    let name = words.next()?;
    (code && !name.starts_with('$')).then_some((place, name))
}

fn fail(why: &str) -> ! {
    eprintln!("counter: {why}");
    std::process::exit(2);
}
