//! What the process gives up, as `status` tells it and as the kernel shows it; and that a reload works all the same.

use crate::support::{HOME, Origin, Proxy, TempDir, TlsClient, Wire, default_site, site, tls_site, wait_until};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const MEASURES: [&str; 4] = ["no_new_privs", "landlock", "rings", "seccomp"];

fn is_on(status: &Value, measure: &str) -> bool {
    matches!(status["privileges"][measure]["state"].as_str(), Some("on" | "partly"))
}

/// Every kernel that has the rings that we need can restrict them. On epoll there are none.
#[track_caller]
fn expect_of_rings(status: &Value) {
    let expect = if status["kernel"]["name"] == "io_uring" { "on" } else { "off" };
    assert_eq!(status["privileges"]["rings"]["state"], expect, "{status:#}");
}

/// A field of what the kernel tells about each thread, with the name of the thread.
fn of_threads(status: &Value, field: &str) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", status["pid"])).unwrap();
    // One that ends just now has nothing to tell.
    let told = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok());
    let fields = told.filter_map(|text| {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
            line.map(|line| line.split_whitespace().next().unwrap_or_default().to_owned())
        };
        Some((value("Name")?, value(field)?))
    });
    fields.collect()
}

/// What whoever runs these tests has in effect: root in a container has not all.
fn own_capabilities() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

/// Whether there are CAP_CHOWN, CAP_SETGID and CAP_SETUID.
fn may_become_another() -> bool {
    const NEEDED: u64 = 1 | 1 << 6 | 1 << 7;
    geteuid().is_root() && own_capabilities() & NEEDED == NEEDED
}

#[track_caller]
fn expect_of_threads(status: &Value, field: &str, expect: &str) {
    let found = of_threads(status, field);
    assert!(found.len() > 1 && found.iter().all(|(_, value)| value == expect), "{field}: {found:?}");
}

/// The address that a new listener on this host was given.
fn new_address(status: &Value, host: &str) -> SocketAddr {
    let listeners = status["listeners"].as_array().unwrap().iter();
    let mut urls = listeners.filter_map(|listener| listener["address"].as_str()?.rsplit_once("//"));
    urls.find(|(_, address)| address.starts_with(host)).unwrap().1.parse().unwrap()
}

#[test]
fn what_status_tells_is_what_the_kernel_shows_of_every_thread() {
    let origin = Origin::named("x");
    let proxy = Proxy::start_with(&default_site(&origin), &["--cores", "2"]);
    let status = proxy.status();
    expect_of_rings(&status);
    expect_of_threads(&status, "NoNewPrivs", if is_on(&status, "no_new_privs") { "1" } else { "0" });
    let filters = if is_on(&status, "seccomp") { "2" } else { "0" };
    // A container may have filters of its own.
    if is_on(&status, "seccomp") || fs::read_to_string("/proc/self/status").unwrap().contains("Seccomp:\t0") {
        expect_of_threads(&status, "Seccomp", filters);
    }
    let ready = proxy.log_line(|line| line.starts_with("ready"));
    for (measure, name) in MEASURES.iter().zip(["no_new_privs", "Landlock", "restricted rings", "seccomp"]) {
        assert_eq!(ready.contains(name), is_on(&status, measure), "{ready}");
        let refusal = format!("not confined by {name}: ");
        let is_refused = status["privileges"][measure]["state"] == "unavailable";
        assert_eq!(proxy.log().all().iter().any(|line| line.starts_with(&refusal)), is_refused);
    }
    let text = String::from_utf8(proxy.verb(&["status"]).stdout).unwrap();
    assert!(text.contains("confined by no_new_privs"), "{text}");
    assert_eq!(status["privileges"]["user"]["state"], "off");
}

#[test]
fn each_measure_has_a_switch() {
    let origin = Origin::named("x");
    let usual = Proxy::to(&origin).status();
    for (key, off) in [
        ("landlock", &["landlock"][..]),
        ("restrict_rings", &["rings"]),
        ("seccomp", &["seccomp"]),
        ("no_new_privs", &["no_new_privs", "landlock", "seccomp"]),
    ] {
        let proxy = Proxy::start(&format!("{}[privileges]\n{key} = false\n", default_site(&origin)));
        let status = proxy.status();
        for measure in MEASURES {
            let expect =
                if off.contains(&measure) { "off" } else { usual["privileges"][measure]["state"].as_str().unwrap() };
            assert_eq!(status["privileges"][measure]["state"], expect, "{key} = false: {measure}");
        }
        assert_eq!(proxy.get("a.test", "/").text(), "x");
    }
}

#[test]
fn a_reload_brings_new_certificates_and_new_ports() {
    let (origin, dir) = (Origin::named("x"), TempDir::new());
    let by_name = |site: String| site.replace("127.0.0.1", "localhost");
    let first = by_name(tls_site("a.test", &origin, &dir));
    let proxy = Proxy::start(&first);
    // The name of the server is looked up by threads that were made after all was given up.
    wait_until("localhost resolves", || TlsClient::new().get(proxy.tls(), "a.test", "/").text() == "x");
    // Files put there since, and one put in the place of another, as those who renew do.
    let second = by_name(tls_site("b.test", &origin, &dir));
    let renewed = HOME.issue(&["a.test"]);
    for (line, text) in first
        .lines()
        .filter(|line| line.starts_with("cert") || line.starts_with("key"))
        .zip([&renewed.chain, &renewed.key])
    {
        let path = line.split('"').nth(1).unwrap();
        fs::rename(dir.put("draft", text), path).unwrap();
    }
    let listen = "[listen]\nhttp = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\nhttps = \"127.0.0.1:0\"\n";
    proxy.reload(&format!("{listen}{first}{second}")).unwrap();
    let mut plain = Wire::connect(new_address(&proxy.status(), "127.0.0.2"));
    assert_eq!(plain.get("a.test", "/").status(), 308);
    wait_until("for the new site as well", || TlsClient::new().get(proxy.tls(), "b.test", "/").text() == "x");
    let mut shown = TlsClient::new().connect(proxy.tls(), "a.test");
    assert!(shown.tls().shows(&renewed), "the one before the reload");
    assert_eq!(shown.get("a.test", "/").text(), "x");
    assert!(!proxy.log().all().iter().any(|line| line.contains("cannot be read")), "{:?}", proxy.log().all());
}

#[test]
fn a_reload_that_names_a_folder_out_of_reach_says_what_to_do() {
    let (origin, other) = (Origin::named("x"), TempDir::new());
    let config = format!("{}{}", default_site(&origin), "[listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n");
    let proxy = Proxy::start(&config);
    let reloaded = proxy.reload(&format!("{config}{}", tls_site("a.test", &origin, &other)));
    match is_on(&proxy.status(), "landlock") {
        true => {
            let why = reloaded.unwrap_err();
            let folder = fs::canonicalize(other.path()).unwrap();
            assert!(why.contains(folder.to_str().unwrap()) && why.contains("restart Ringferry"), "{why}");
            assert_eq!(proxy.status()["snapshot"]["generation"], 1);
        }
        false => assert_eq!(reloaded, Ok(())),
    }
    assert_eq!(proxy.get("b.test", "/").text(), "x");
}

#[test]
fn what_has_changed_of_it_waits_for_a_start() {
    let origin = Origin::named("x");
    let proxy = Proxy::to(&origin);
    proxy.reload(&format!("{}[privileges]\nseccomp = false\n", default_site(&origin))).unwrap();
    let line = proxy.log_line(|line| line.starts_with("warning: [privileges] has changed"));
    assert!(line.contains("restart"), "{line}");
}

#[test]
fn it_becomes_another_user_who_reads_keys_of_root_and_binds_new_ports() {
    let (origin, dir) = (Origin::named("x"), TempDir::new());
    let guarded = |site: &str| {
        for path in site.lines().filter_map(|line| line.strip_prefix("key = \"")?.strip_suffix('"')) {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    };
    let first = tls_site("a.test", &origin, &dir);
    guarded(&first);
    let user = "[privileges]\nuser = 65533\n";
    let proxy = Proxy::start_with(&format!("{first}{user}"), &["--cores", "2"]);
    let status = proxy.status();
    if !may_become_another() {
        assert_eq!(status["privileges"]["user"]["state"], "unavailable");
        proxy.log_line(|line| line.starts_with("warning: privileges.user: still who started it: "));
        return;
    }
    assert_eq!(status["privileges"]["user"]["state"], "on", "{status:#}");
    expect_of_threads(&status, "Uid", "65533");
    expect_of_threads(&status, "Gid", "65533");
    // Its two capabilities are for the thread that reloads: the first one, and those that it has made since.
    let kept = |name: &str| -> Vec<u64> {
        let of = of_threads(&status, "CapEff").into_iter().filter(|(thread, _)| thread.starts_with(name));
        of.map(|(_, kept)| u64::from_str_radix(&kept, 16).unwrap()).collect()
    };
    let (net_bind, read_search) = (1 << 10, 1 << 2);
    let expect = own_capabilities() & (net_bind | read_search);
    assert_eq!((kept("ringferry"), kept("core-")), (vec![expect], vec![0, 0]));
    if expect & read_search == 0 {
        return;
    }
    assert_eq!(TlsClient::new().get(proxy.tls(), "a.test", "/").text(), "x");

    let second = tls_site("b.test", &origin, &dir);
    guarded(&second);
    let listen = "[listen]\nhttp = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\nhttps = \"127.0.0.1:0\"\n";
    proxy.reload(&format!("{listen}{first}{second}{user}")).unwrap();
    assert_eq!(TlsClient::new().get(proxy.tls(), "b.test", "/").text(), "x");
    let new = new_address(&proxy.status(), "127.0.0.2");
    assert_eq!(Wire::connect(new).get("a.test", "/").status(), 308);
    // The same port for all addresses: sockets share it only with those of the same user.
    let port = new.port();
    let listen = format!("[listen]\nhttp = [\"127.0.0.1:0\", \":{port}\"]\nhttps = \"127.0.0.1:0\"\n");
    proxy.reload(&format!("{listen}{first}{second}{user}")).unwrap();
    assert_eq!(Wire::connect(([127, 0, 0, 3], port).into()).get("a.test", "/").status(), 308);
}

#[test]
fn a_user_who_may_read_all_that_is_named_keeps_no_right_to_read_more() {
    if !may_become_another() {
        // That it is told is tested above.
        return;
    }
    let origin = Origin::named("x");
    let config = format!("{}[privileges]\nuser = 65533\n", default_site(&origin));
    let proxy = Proxy::start(&config);
    let status = proxy.status();
    let detail = status["privileges"]["user"]["detail"].as_str().unwrap();
    assert_eq!(detail, "65533 (uid 65533), keeps cap_net_bind_service");
    proxy.reload(&config).unwrap();
}

#[test]
fn our_own_authority_belongs_to_the_user_who_has_to_keep_it() {
    let (origin, state) = (Origin::named("x"), TempDir::new());
    let folder = state.path().join("state");
    let config = format!(
        "[[site]]\nhost = \"a.test\"\ntls = \"internal\"\nupstream = {:?}\n[privileges]\nuser = 65533\n",
        origin.url()
    );
    let run = ["run", "-c", "ringferry.toml", "--admin", "admin.sock", "--cores", "1"];
    let proxy = Proxy::of_verb_in(&config, &run, &[("STATE_DIRECTORY", folder.to_str().unwrap())]);
    use std::os::unix::fs::MetadataExt;
    let owner = if may_become_another() { 65533 } else { geteuid().as_raw() };
    for path in [folder.clone(), folder.join("authority.key"), folder.join("authority.pem")] {
        assert_eq!(fs::metadata(&path).unwrap().uid(), owner, "{}", path.display());
    }
    let issued = |status: Value| status["tls"][0]["certificates"][0]["origin"].clone();
    assert_eq!(issued(proxy.status()), "internal");
    proxy.reload(&config).unwrap();
    assert_eq!(issued(proxy.status()), "internal");
    assert!(proxy.log().all().iter().all(|line| !line.contains("authority")), "{:?}", proxy.log().all());
}

#[test]
fn a_user_who_does_not_exist_is_no_reason_not_to_start() {
    let origin = Origin::named("x");
    let proxy = Proxy::start(&format!("{}[privileges]\nuser = \"no-such-user\"\n", default_site(&origin)));
    let line = proxy.log_line(|line| line.starts_with("warning: privileges.user: "));
    assert!(line.contains("there is no user \"no-such-user\"") && line.contains("useradd"), "{line}");
    assert_eq!(proxy.status()["privileges"]["user"]["state"], "unavailable");
    assert_eq!(proxy.get("a.test", "/").text(), "x");
}

#[test]
fn what_has_to_go_at_the_end_goes() {
    let left = |folder: &Path| -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("demo") || name.ends_with(".sock")).collect()
    };
    let mut demo = Proxy::of_verb("", &["demo", "--port", "0", "--https-port", "0", "--admin", "admin.sock"]);
    let folder = demo.admin().parent().unwrap().to_owned();
    assert_eq!(left(&folder).len(), 2, "{:?}", left(&folder));
    expect_of_rings(&demo.status());
    demo.signal(Signal::SIGTERM);
    demo.wait_exit();
    assert_eq!(left(&folder), [""; 0]);

    let origin = Origin::named("x");
    let mut proxy = Proxy::start(&site("a.test", &origin));
    let folder = proxy.admin().parent().unwrap().to_owned();
    proxy.signal(Signal::SIGTERM);
    proxy.wait_exit();
    assert_eq!(left(&folder), [""; 0]);
}
