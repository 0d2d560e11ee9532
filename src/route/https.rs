//! Where a site with TLS sends those who come without it.

/// The port that https:// means where none is written.
const PORT: u16 = 443;

/// The same host by TLS, up to where the path begins. `ports` are those where its site has TLS.
pub fn https_origin(host: &str, ports: impl IntoIterator<Item = u16>) -> String {
    let ports: Vec<u16> = ports.into_iter().collect();
    match ports.first() {
        Some(port) if !ports.contains(&PORT) => format!("https://{host}:{port}"),
        _ => format!("https://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_taken_where_it_is_and_not_written() {
        assert_eq!(https_origin("a", [8443, 443]), "https://a");
        assert_eq!(https_origin("a", [8443, 9443]), "https://a:8443");
        assert_eq!(https_origin("[::1]", [8443]), "https://[::1]:8443");
        assert_eq!(https_origin("a", []), "https://a");
    }
}
