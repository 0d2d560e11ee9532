//! The control loop with cores that only note what they are told.

use super::*;
use crate::limit::Budget;
use crate::log;
use crate::model::{Server, ServerAddress};
use crate::shared::{Events, Memory, Pending, Registry};
use sd_notify::NotifyState;
use std::cell::{Cell, RefCell};
use std::io::Read;
use std::rc::Rc;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// The loop, and all that it is connected to. Time runs by itself while nothing else happens.
struct World {
    signals: mpsc::Sender<Signal>,
    events: Events,
    requests: mpsc::Sender<Asked>,
    /// What the cores were told: `0 publish 2`.
    told: Arc<Mutex<Vec<String>>>,
    lines: mpsc::Receiver<Batch>,
    exit: JoinHandle<Exit>,
    /// What is wrong with the configuration.
    mistake: Rc<Cell<Option<&'static str>>>,
    /// How many commands the cores refuse from now on.
    refusals: Arc<Mutex<u32>>,
    /// What cores have been told and have not done yet, if they are slow.
    behind: Behind,
    /// What the supervisor was told: `READY=1 STATUS=...`.
    supervised: Rc<RefCell<Vec<String>>>,
}

type Behind = Arc<Mutex<Option<Vec<Pending>>>>;

/// Within which the supervisor wants to hear of all cores.
const WATCHDOG: Duration = Duration::from_secs(10);

impl World {
    fn new() -> World {
        let (signals, signals_in) = mpsc::channel(8);
        let (events, events_in) = shared::events();
        let (requests, requests_in) = mpsc::channel(1);
        let (queue, lines) = log::queue();
        let told = Arc::new(Mutex::new(Vec::new()));
        let refusals = Arc::new(Mutex::new(0));
        let behind = Behind::default();
        let mistake = Rc::new(Cell::new(None));
        let read = mistake.clone();
        let supervised: Rc<RefCell<Vec<String>>> = Rc::default();
        let heard = supervised.clone();
        let tell = move |states: &[NotifyState<'_>]| {
            let states: Vec<String> = states.iter().map(|state| state.to_string()).collect();
            heard.borrow_mut().push(states.join(" "));
        };
        let running = Running {
            kernel: KernelStatus::default(),
            cores: (0..2).map(|core| fake_core(core, told.clone(), refusals.clone(), behind.clone())).collect(),
            alive: vec![true; 2],
            log: queue.clone(),
            in_force: loaded(1),
            generation: 1,
            look_after: Box::new(|_, _| None),
            reload: Box::new(move |generation, _| {
                read.get().map_or(Ok(loaded(generation)), |why: &str| Err(why.to_owned()))
            }),
            resolver: Resolver::new(queue),
            privileges: PrivilegeStatus::default(),
            memory: memory(),
            now_ms: || 0,
            started: Instant::now(),
            published_unix_s: 0,
            draining: None,
            supervisor: Supervisor::new(Box::new(tell), Some(WATCHDOG), 2),
            sockets: Box::new(|_| Ok(vec![File::open("/dev/null")?.into()])),
            start: Start::of_process(),
            leaving: None,
            admin: Some(File::open("/dev/null").unwrap().into()),
        };
        let exit = spawn_local(running.until_the_end(signals_in, events_in, requests_in));
        World { signals, events, requests, told, lines, exit, mistake, refusals, behind, supervised }
    }

    async fn ask(&self, request: Request) -> Answer {
        self.ask_for_all(request).await.answer
    }

    async fn ask_for_all(&self, request: Request) -> Reply {
        let (sender, answer) = oneshot::channel();
        self.requests.send((request, sender)).await.unwrap();
        answer.await.unwrap()
    }

    async fn signal(&self, signal: Signal) {
        self.signals.send(signal).await.unwrap();
        self.settle().await;
    }

    fn event(&self, event: Event) {
        assert!(self.events.send(event));
    }

    /// Lets the loop do whatever it has been asked to.
    async fn settle(&self) {
        sleep(Duration::from_millis(1)).await;
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    fn lines(&mut self) -> String {
        std::iter::from_fn(|| self.lines.try_recv().ok())
            .map(|batch| String::from_utf8(batch.text().to_vec()).unwrap())
            .collect()
    }
}

fn fake_core(number: usize, told: Arc<Mutex<Vec<String>>>, refusals: Arc<Mutex<u32>>, behind: Behind) -> Core<u64> {
    let link = move |command| {
        let mut refusals = refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return false;
        }
        told.lock().unwrap().push(match command {
            Command::Publish { snapshot, pending } => {
                if let Some(behind) = &mut *behind.lock().unwrap() {
                    behind.push(pending);
                }
                format!("{number} publish {snapshot}")
            }
            Command::Drain { timeout } => format!("{number} drain {}", timeout.as_secs()),
            Command::Leave => format!("{number} leave"),
            Command::Ping => return true,
            Command::Stop => format!("{number} stop"),
        });
        true
    };
    Core { link: Box::new(link), stats: Arc::default() }
}

fn memory() -> Arc<Memory> {
    Arc::new(Memory::new(Budget::for_machine(None, 1)))
}

fn loaded(generation: u64) -> Loaded<u64> {
    Loaded {
        snapshot: Arc::new(generation),
        source: "test.toml".into(),
        listeners: vec!["127.0.0.1:8080".into()],
        tls: vec![],
        servers: vec![
            Registry::default().server("pool", &Server::at(ServerAddress::Ip("127.0.0.1:3000".parse().unwrap()))),
        ],
        drain_timeout: Duration::from_secs(30),
        warnings: vec!["a warning".into()],
    }
}

fn run(test: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async { test(World::new()).await });
}

#[test]
fn a_reload_is_published_to_every_core() {
    run(async |mut world| {
        world.signal(Signal::Reload).await;
        assert_eq!(world.told(), ["0 publish 2", "1 publish 2"]);
        assert_eq!(world.lines(), "a warning\nreloaded test.toml, snapshot 2\n");

        let answer = world.ask(Request::Reload { dry_run: false }).await;
        let warnings = vec!["a warning".to_owned()];
        assert_eq!(answer, Answer::Reloaded { generation: 3, dry_run: false, warnings });
        assert_eq!(world.told(), ["0 publish 3", "1 publish 3"]);
    });
}

#[test]
fn a_reload_is_told_of_once_every_core_serves_by_it() {
    run(async |mut world| {
        *world.behind.lock().unwrap() = Some(Vec::new());
        world.signal(Signal::Reload).await;
        assert_eq!(world.told(), ["0 publish 2", "1 publish 2"]);
        let first = world.behind.lock().unwrap().as_mut().unwrap().remove(0);
        drop(first);
        world.settle().await;
        assert_eq!(world.lines(), "a warning\n");
        *world.behind.lock().unwrap() = None;
        world.settle().await;
        assert_eq!(world.lines(), "reloaded test.toml, snapshot 2\n");
    });
}

#[test]
fn a_core_that_hangs_does_not_hold_up_the_answer_to_a_reload_for_long() {
    run(async |mut world| {
        *world.behind.lock().unwrap() = Some(Vec::new());
        assert!(matches!(world.ask(Request::Reload { dry_run: false }).await, Answer::Reloaded { .. }));
        assert!(world.lines().contains("not every core serves snapshot 2 yet\n"));
    });
}

#[test]
fn a_bad_configuration_or_a_dry_run_changes_nothing() {
    run(async |mut world| {
        world.mistake.set(Some("test.toml:1:1: error"));
        let answer = world.ask(Request::Reload { dry_run: false }).await;
        assert_eq!(answer, Answer::Error { message: "test.toml:1:1: error".into() });
        world.signal(Signal::Reload).await;
        let refused = "not reloaded, nothing has changed: test.toml:1:1: error\n";
        assert_eq!(world.lines(), refused.repeat(2));

        world.mistake.set(None);
        let answer = world.ask(Request::Reload { dry_run: true }).await;
        assert!(matches!(answer, Answer::Reloaded { dry_run: true, .. }));
        assert_eq!(world.told(), [""; 0]);
        let Answer::Status(status) = world.ask(Request::Status {}).await else { panic!("no status") };
        assert_eq!(status.snapshot.generation, 1);
        world.signal(Signal::Reload).await;
        assert_eq!(world.told(), ["0 publish 2", "1 publish 2"], "a dry run uses no generation up");
    });
}

#[test]
fn a_core_whose_queue_is_full_gets_its_snapshot_later() {
    run(async |mut world| {
        *world.refusals.lock().unwrap() = TELL_TRIES - 1;
        assert!(matches!(world.ask(Request::Reload { dry_run: false }).await, Answer::Reloaded { .. }));
        assert_eq!(world.told(), ["0 publish 2", "1 publish 2"]);
        assert!(!world.lines().contains("takes no commands"));

        *world.refusals.lock().unwrap() = TELL_TRIES;
        assert!(matches!(world.ask(Request::Reload { dry_run: false }).await, Answer::Reloaded { .. }));
        assert_eq!(world.told(), ["1 publish 3"], "one that hangs does not hold up the other");
        assert!(world.lines().contains("core 0 takes no commands"));
    });
}

#[test]
fn a_drain_ends_when_every_core_has_nothing_left() {
    run(async |mut world| {
        world.signal(Signal::Drain).await;
        assert_eq!(world.told(), ["0 drain 30", "1 drain 30"]);
        assert!(matches!(world.ask(Request::Reload { dry_run: false }).await, Answer::Error { .. }));
        let Answer::Status(status) = world.ask(Request::Status {}).await else { panic!("no status") };
        assert!(status.draining);

        world.event(Event::Drained { core: 1 });
        world.settle().await;
        assert_eq!(world.told(), [""; 0]);
        world.event(Event::Drained { core: 0 });
        assert_eq!((&mut world.exit).await.unwrap(), Exit::Drained);
        assert_eq!(world.told(), ["0 stop", "1 stop"]);
    });
}

#[test]
fn a_drain_takes_no_longer_than_it_may() {
    run(async |mut world| {
        let start = tokio::time::Instant::now();
        world.signal(Signal::Drain).await;
        world.event(Event::Drained { core: 1 });
        assert_eq!((&mut world.exit).await.unwrap(), Exit::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 30);
        assert!(world.told().ends_with(&["0 stop".into(), "1 stop".into()]));
    });
}

#[test]
fn a_second_signal_ends_at_once() {
    run(async |mut world| {
        world.signal(Signal::Drain).await;
        world.signal(Signal::Reload).await;
        world.signal(Signal::Drain).await;
        assert_eq!((&mut world.exit).await.unwrap(), Exit::Stopped);
        assert_eq!(world.told(), ["0 drain 30", "1 drain 30", "0 stop", "1 stop"]);
    });
}

#[test]
fn a_core_that_fails_is_told_nothing_more_and_the_last_one_ends_it_all() {
    run(async |mut world| {
        world.event(Event::Panicked { core: 0, message: "index out of bounds".into() });
        world.event(Event::Failed { core: 0, message: "no ring".into() });
        world.settle().await;
        world.signal(Signal::Reload).await;
        assert_eq!(world.told(), ["1 publish 2"]);
        assert!(world.lines().starts_with(
            "core 0: a bug closed one connection, please report it: index out of bounds\ncore 0 has ended: no ring\n"
        ));
        world.event(Event::Failed { core: 1, message: "no ring".into() });
        assert_eq!((&mut world.exit).await.unwrap(), Exit::Failed);
        assert_eq!(world.told(), [""; 0]);
    });
}

#[test]
fn whoever_supervises_hears_of_reloads_and_of_the_end() {
    run(async |world| {
        world.settle().await;
        world.supervised.borrow_mut().clear();
        world.ask(Request::Reload { dry_run: true }).await;
        assert_eq!(*world.supervised.borrow(), [""; 0]);
        world.signal(Signal::Reload).await;
        world.mistake.set(Some("test.toml:1:1: error"));
        world.signal(Signal::Reload).await;
        let heard = std::mem::take(&mut *world.supervised.borrow_mut());
        assert!(heard[0].starts_with("RELOADING=1 MONOTONIC_USEC="), "{heard:?}");
        assert_eq!(heard[1], "READY=1 STATUS=serving test.toml, snapshot 2");
        assert!(heard[2].starts_with("RELOADING=1"), "{heard:?}");
        assert_eq!(heard[3..], ["READY=1 STATUS=serving test.toml, snapshot 2"], "what is in force goes on");
        world.signal(Signal::Drain).await;
        assert_eq!(*world.supervised.borrow(), ["STOPPING=1 STATUS=draining"]);
    });
}

#[test]
fn another_process_takes_over_and_connections_may_ask_once_more() {
    run(async |mut world| {
        let Answer::Start(start) = world.ask(Request::Start {}).await else { panic!("no start") };
        assert_eq!(start.pid, std::process::id());
        let reply = world.ask_for_all(Request::Sockets {}).await;
        assert_eq!((reply.answer, reply.descriptors.len()), (Answer::Sockets { count: 1, admin: true }, 3));
        assert_eq!(world.told(), [""; 0], "until it is asked to, it goes on");
        world.settle().await;
        world.supervised.borrow_mut().clear();

        assert_eq!(world.ask(Request::Yield { to: 7, admin: true }).await, Answer::Yielded { pid: std::process::id() });
        assert_eq!(*world.supervised.borrow(), ["MAINPID=7"]);
        assert_eq!(world.told(), ["0 leave", "1 leave"]);
        // Whoever has nothing left now may be handed something by another core.
        world.event(Event::Drained { core: 0 });
        world.event(Event::Drained { core: 1 });
        for request in [Request::Sockets {}, Request::Yield { to: 8, admin: true }, Request::Reload { dry_run: false }]
        {
            let Answer::Error { .. } = world.ask(request).await else { panic!("{request:?}") };
        }
        sleep(Duration::from_secs(4)).await;
        assert_eq!(world.told(), [""; 0]);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(world.told(), ["0 drain 30", "1 drain 30"]);
        world.event(Event::Drained { core: 0 });
        world.event(Event::Drained { core: 1 });
        assert_eq!((&mut world.exit).await.unwrap(), Exit::Drained);
        assert_eq!(*world.supervised.borrow(), ["MAINPID=7"], "of its own end nobody hears");
        assert!(world.lines().contains("process 7 takes over"));
    });
}

#[test]
fn who_drains_makes_no_way() {
    run(async |world| {
        world.signal(Signal::Drain).await;
        for request in [Request::Sockets {}, Request::Yield { to: 7, admin: true }] {
            assert_eq!(world.ask(request).await, Answer::Error { message: "it is draining".to_owned() });
        }
    });
}

#[test]
fn a_core_that_hangs_is_not_told_to_be_alive() {
    run(async |world| {
        let heard = || {
            std::mem::take(&mut *world.supervised.borrow_mut()).iter().filter(|state| *state == "WATCHDOG=1").count()
        };
        world.settle().await;
        assert_eq!(heard(), 1, "all have just begun");
        for _ in 0..3 {
            world.event(Event::Alive { core: 0 });
            world.event(Event::Alive { core: 1 });
            sleep(WATCHDOG / 2).await;
            assert_eq!(heard(), 1);
        }
        world.event(Event::Alive { core: 0 });
        sleep(WATCHDOG * 3).await;
        assert_eq!(heard(), 0, "core 1 does not answer");
        // It was only slow.
        world.event(Event::Alive { core: 0 });
        world.event(Event::Alive { core: 1 });
        sleep(WATCHDOG / 2).await;
        assert_eq!(heard(), 1);
    });
}

/// The whole of it on whatever ring there is: the last lines of the cores are written before it returns.
#[test]
fn the_last_lines_are_written_before_the_end() {
    let (reader, writer) = io::pipe().unwrap();
    let (events, events_in) = shared::events();
    let (queue, lines) = log::queue();
    let core_queue = Mutex::new(Some(queue.clone()));
    let core = Core {
        link: Box::new(move |command| {
            if let Command::Drain { .. } = command {
                return events.send(Event::Drained { core: 0 });
            }
            // Like a core that ends: its last lines, and then its end of the queue is gone.
            let queue = core_queue.lock().unwrap().take();
            queue.is_some_and(|queue| queue.note("a last line"))
        }),
        stats: Arc::default(),
    };
    let control = Control {
        cores: vec![core],
        events: events_in,
        log: queue,
        lines,
        output: std::os::fd::OwnedFd::from(writer).into(),
        kernel: KernelStatus::default(),
        may_make_ring: true,
        in_force: loaded(1),
        reload: Box::new(|_, _| Err(String::new())),
        look_after: Box::new(|_, _| None),
        begin: Box::new(|| Ok((PrivilegeStatus::default(), "ready".to_owned()))),
        sockets: Box::new(|_| Ok(Vec::new())),
        start: Start::of_process(),
        admin: None,
        memory: memory(),
        now_ms: || 0,
    };
    let (signals, signals_in) = mpsc::channel(1);
    signals.try_send(Signal::Drain).unwrap();
    let exit = match tokio_uring::Runtime::new(&tokio_uring::builder()) {
        Ok(ring) => {
            ring.block_on(control.serve_signals(|file| Output::Ring(tokio_uring::fs::File::from_std(file)), signals_in))
        }
        Err(_) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, control.serve_signals(|file| Output::Thread(Arc::new(file)), signals_in))
        }
    };
    assert_eq!(exit.unwrap(), Exit::Drained);
    let mut text = String::new();
    io::BufReader::new(reader).read_to_string(&mut text).unwrap();
    assert_eq!(text, "ready\ndraining for at most 30 s; a second signal ends at once\ndrained, ending\na last line\n");
}
