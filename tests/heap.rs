//! Memory: what many clients make the proxy hold is not kept when they have left.

use crate::support::{Origin, Proxy, default_site, wait_until};

#[test]
fn what_clients_held_goes_back_when_they_have_left() {
    const CLIENTS: usize = 500;
    // The start of a head, longer than a buffer, has memory of its own.
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}", "x".repeat(10 << 10));
    let origin = Origin::named("x");
    let config = format!("{}[timeouts]\nhead = \"60s\"\nidle = \"60s\"\n", default_site(&origin));
    let proxy = Proxy::start(&config);
    // One after the other, so that there are always buffers to receive into.
    let client = || {
        let mut client = proxy.connect();
        assert_eq!(client.get("a", "/").status(), 200);
        client.send(&head);
        client
    };
    let few: Vec<_> = (0..20).map(|_| client()).collect();
    let before = proxy.memory_kib();
    let many: Vec<_> = (0..CLIENTS).map(|_| client()).collect();
    wait_until("their heads have come", || proxy.memory_kib() > before + 10 * CLIENTS as u64);
    drop(many);
    wait_until("their memory has gone", || proxy.memory_kib() < before + 2 * CLIENTS as u64);
    drop(few);
}
