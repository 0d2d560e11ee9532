//! How certificates are listed.

use super::*;
use crate::model::{Access, CertificateSource, HostPattern, Site, SiteTls, Termination};
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::path::PathBuf;

/// In 2026.
const NOW_S: u64 = 1_780_000_000;

/// A configuration on files in a folder that lives as long as the value.
struct Files {
    folder: PathBuf,
    config: Config,
}

impl Files {
    /// Sites of a good pair for two hosts, of an expired one with a `client_ca` that is missing, of our own authority,
    /// and one without TLS.
    fn new(test: &str) -> Files {
        let folder = std::env::temp_dir().join(format!("ringferry-cert-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let pair = |name: &str, hosts: &[&str], (year, month, day): (i32, u8, u8)| {
            let mut params =
                CertificateParams::new(hosts.iter().map(|host| host.to_string()).collect::<Vec<_>>()).unwrap();
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let key = KeyPair::generate().unwrap();
            let [cert, key_path] = ["pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
            fs::write(&cert, params.self_signed(&key).unwrap().pem()).unwrap();
            fs::write(&key_path, key.serialize_pem()).unwrap();
            CertificateSource::Files { cert, key: key_path }
        };
        let many = ["a.test", "*.a.test", "1.test", "2.test", "3.test", "4.test"];
        let sites = vec![
            site("a.test", Some(pair("a", &many, (2026, 6, 1))), None),
            site("b.test", Some(pair("b", &["b.test"], (2026, 1, 1))), Some(folder.join("ca.pem"))),
            site("c.test", Some(CertificateSource::Internal), None),
            site("d.test", None, None),
        ];
        let config = Config { state: Some(folder.join("state")), sites, ..Config::default() };
        Files { folder, config }
    }

    /// A text with the folder cut out.
    fn cut(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.folder.display()), "")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn site(host: &str, source: Option<CertificateSource>, client_ca: Option<PathBuf>) -> Site {
    Site {
        name: host.to_owned(),
        hosts: vec![HostPattern::Exact(host.to_owned())],
        listeners: Vec::new(),
        routes: 0..0,
        tls: source.map(|source| SiteTls::Terminate(Termination { certificates: vec![source], client_ca })),
        hsts: None,
        access: Access::default(),
    }
}

#[test]
fn a_list_tells_names_days_and_problems() {
    let files = Files::new("text");
    let certificates = Certificates::look(&files.config, NOW_S);
    let text = |kept: Option<&Authority>| files.cut(&as_text(&files.config, &certificates, kept, NOW_S));
    assert_eq!(
        text(None),
        "\
a.test
  a.pem: ECDSA, for a.test, *.a.test, 1.test, 2.test, 3.test and 1 more, until 2026-06-01 (3 days left)

b.test
  b.pem: ECDSA, for b.test, until 2026-01-01 (over)
  lets in: clients with a certificate of ca.pem
  error: ca.pem: cannot be read: No such file or directory (os error 2)
    see that the path is right and that the user ringferry runs as may read it
  warning: b.pem: expired on 2026-01-01
    renew it; if it is good, see whether the clock of this machine is right

c.test
  internal: ECDSA, for c.test, by an authority that the start makes, renewed by itself"
    );
    let kept = Authority::new("pi", NOW_S).unwrap();
    let expect = format!("internal: ECDSA, for c.test, by {}, renewed by itself", kept.name());
    assert!(text(Some(&kept)).ends_with(&expect), "{}", text(Some(&kept)));
    let empty = Config::default();
    assert_eq!(as_text(&empty, &Certificates::look(&empty, NOW_S), None, NOW_S), "no site ends TLS here");
}

#[test]
fn scripts_get_the_same_whole() {
    let files = Files::new("json");
    let certificates = Certificates::look(&files.config, NOW_S);
    let kept = Authority::new("pi", NOW_S).unwrap();
    let told = as_json(&files.config, &certificates, Some(&kept), NOW_S);
    let told: Value = serde_json::from_str(&files.cut(&told.to_string())).unwrap();
    assert_eq!(told["sites"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        told["sites"][0],
        json!({
            "site": "a.test", "hosts": ["a.test"], "client_ca": null, "problems": [],
            "certificates": [{
                "origin": "a.pem", "key": "ECDSA",
                "names": ["a.test", "*.a.test", "1.test", "2.test", "3.test", "4.test"],
                "valid_from": "2020-01-01", "valid_until": "2026-06-01", "days_left": 3,
            }],
        })
    );
    assert_eq!(told["sites"][1]["certificates"][0]["days_left"], -148);
    let severities = told["sites"][1]["problems"].as_array().unwrap().iter().map(|problem| &problem["severity"]);
    assert_eq!(severities.collect::<Vec<_>>(), ["error", "warning"]);
    assert_eq!(
        told["sites"][2]["certificates"],
        json!([{ "origin": "internal", "key": "ECDSA", "names": ["c.test"], "issuer": kept.name() }])
    );
}

#[test]
fn one_day_is_no_days() {
    let files = Files::new("days");
    let certificates = Certificates::look(&files.config, NOW_S);
    let pair = &pairs(&certificates, SiteId(0))[0];
    let end_s = *pair.validity_s().end();
    for (before_s, expect) in [(-1, "over"), (0, "0 days left"), (86_400, "1 day left"), (200_000, "2 days left")] {
        let text = until(end_s, end_s.wrapping_add_signed(-before_s));
        assert_eq!(text, format!("until 2026-06-01 ({expect})"));
    }
}

#[test]
fn the_hint_names_the_authority_and_its_print() {
    let authority = Authority::new("pi", NOW_S).unwrap();
    let told = authority_as_json(&authority, Path::new("/state/authority.pem"));
    let print = told["sha256"].as_str().unwrap();
    assert_eq!(print.split(':').count(), 32);
    let hint = how_to_install(&authority);
    for expect in [authority.name(), print, "2036", "update-ca-certificates"] {
        assert!(hint.contains(expect), "{expect} is not in\n{hint}");
    }
    assert!(!told.to_string().contains("PRIVATE"));
}
