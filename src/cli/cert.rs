//! `ringferry cert`: the certificates of the sites, and the one of our own authority to install elsewhere.
//!
//! What is read and how it is judged is in `app` and `tls`; only how it is told is here.

use super::{CertArgs, CertCaArgs, CertListArgs, CertVerb, Exit, check, complain, say, source, unix_s};
use crate::app::{Certificates, SiteCertificates, State, terminations};
use crate::config::Severity;
use crate::model::{Config, SiteId};
use crate::tls::{Authority, Fault, INTERNAL, Pair, Problem, day};
use serde_json::{Value, json};
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;

pub(super) fn cert(args: CertArgs) -> Exit {
    match args.verb {
        Some(CertVerb::Ca(args)) => ca(args),
        Some(CertVerb::List(args)) => list(args),
        None => list(args.list),
    }
}

fn ca(args: CertCaArgs) -> Exit {
    let config = match source::config_if_any(&args.config.file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let found = State::of(&config).and_then(|state| Ok((state.authority(unix_s())?, state)));
    let (authority, state) = match found {
        Ok(found) => found,
        Err(problem) => {
            complain(format_args!("{problem}; {}", problem.fault.hint()));
            return exit_of(&problem);
        }
    };
    if args.json {
        say(authority_as_json(&authority, &state.certificate_path()));
        return Exit::Ok;
    }
    say(authority.certificate_pem().trim_end());
    // For a person, whether the certificate goes to a file or not.
    if io::stderr().is_terminal() {
        eprintln!("{}", how_to_install(&authority));
    }
    Exit::Ok
}

fn exit_of(problem: &Problem) -> Exit {
    match problem.fault {
        Fault::Unreadable(_) | Fault::Unwritable(_) => Exit::BindOrPermission,
        _ => Exit::Configuration,
    }
}

fn how_to_install(authority: &Authority) -> String {
    format!(
        "\
{}, good until {}
SHA-256 {}

Install it on every device that visits sites with tls = \"internal\":
  ringferry cert ca > ringferry.crt
  Debian, Raspberry Pi OS   cp ringferry.crt /usr/local/share/ca-certificates/ && update-ca-certificates
  Fedora                    cp ringferry.crt /etc/pki/ca-trust/source/anchors/ && update-ca-trust
  macOS, Windows            open the file: Keychain Access, \"Always Trust\"; \"Trusted Root Certification Authorities\"
  iOS                       open the file, then Settings, General, About, Certificate Trust Settings
  Android                   Settings, Security, Encryption & credentials, Install a certificate, CA certificate
  Firefox                   Settings, Certificates, View Certificates, Authorities, Import
  curl                      curl --cacert ringferry.crt https://…",
        authority.name(),
        day(*authority.validity_s().end()),
        hex(&authority.fingerprint()),
    )
}

fn authority_as_json(authority: &Authority, file: &Path) -> Value {
    json!({
        "name": authority.name(),
        "sha256": hex(&authority.fingerprint()),
        "valid_from": day(*authority.validity_s().start()),
        "valid_until": day(*authority.validity_s().end()),
        "file": file.display().to_string(),
        "pem": authority.certificate_pem(),
    })
}

fn list(args: CertListArgs) -> Exit {
    let config = match source::config(&args.config.file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let now_s = unix_s();
    let certificates = Certificates::look(&config, now_s);
    let kept = kept_authority(&config);
    if args.json {
        say(as_json(&config, &certificates, kept.as_ref(), now_s));
    } else {
        say(as_text(&config, &certificates, kept.as_ref(), now_s));
    }
    let is_error = |severity| severity == Severity::Error;
    let has_errors = certificates.findings().iter().any(|finding| is_error(finding.severity));
    if has_errors { Exit::Configuration } else { Exit::Ok }
}

fn as_text(config: &Config, certificates: &Certificates, kept: Option<&Authority>, now_s: u64) -> String {
    let issuer = kept.map_or("an authority that the start makes", Authority::name);
    let mut text = String::new();
    for (id, site, termination) in terminations(config) {
        let hosts: Vec<_> = site.hosts.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{}{}", if text.is_empty() { "" } else { "\n" }, hosts.join(", "));
        for pair in pairs(certificates, id) {
            let until = match pair.origin() == INTERNAL {
                true => format!("by {issuer}, renewed by itself"),
                false => until(*pair.validity_s().end(), now_s),
            };
            let _ = writeln!(text, "  {}: {}, for {}, {until}", pair.origin(), pair.kind(), pair.names());
        }
        if let Some(path) = &termination.client_ca {
            let _ = writeln!(text, "  lets in: clients with a certificate of {}", path.display());
        }
        for finding in certificates.findings().iter().filter(|finding| finding.concerns.contains(&site.name)) {
            let _ = writeln!(text, "  {}: {}", check::word(finding.severity), finding.problem);
            let _ = writeln!(text, "    {}", finding.problem.fault.hint());
        }
    }
    if text.is_empty() { "no site ends TLS here".to_owned() } else { text.trim_end().to_owned() }
}

/// `until 2026-12-01 (23 days left)`.
pub(super) fn until(end_s: u64, now_s: u64) -> String {
    let left = match days_left(end_s, now_s) {
        left if left < 0 => "over".to_owned(),
        1 => "1 day left".to_owned(),
        left => format!("{left} days left"),
    };
    format!("until {} ({left})", day(end_s))
}

/// Whole days; negative once it is over.
fn days_left(end_s: u64, now_s: u64) -> i64 {
    (end_s as i64 - now_s as i64).div_euclid(DAY_S)
}

fn as_json(config: &Config, certificates: &Certificates, kept: Option<&Authority>, now_s: u64) -> Value {
    let pair = |pair: &Pair| {
        let mut value = json!({
            "origin": pair.origin(),
            "key": pair.kind().to_string(),
            "names": pair.names().all().collect::<Vec<_>>(),
        });
        if pair.origin() == INTERNAL {
            // The one in use is another, which the running program alone has.
            value["issuer"] = json!(kept.map(Authority::name));
        } else {
            value["valid_from"] = json!(day(*pair.validity_s().start()));
            value["valid_until"] = json!(day(*pair.validity_s().end()));
            value["days_left"] = json!(days_left(*pair.validity_s().end(), now_s));
        }
        value
    };
    let sites = terminations(config).map(|(id, site, termination)| {
        let findings = certificates.findings().iter().filter(|finding| finding.concerns.contains(&site.name));
        json!({
            "site": site.name,
            "hosts": site.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "certificates": pairs(certificates, id).iter().map(|found| pair(found)).collect::<Vec<_>>(),
            "client_ca": termination.client_ca.as_ref().map(|path| path.display().to_string()),
            "problems": findings.map(|finding| json!({
                "severity": check::word(finding.severity),
                "what": finding.problem.to_string(),
                "hint": finding.problem.fault.hint(),
            })).collect::<Vec<_>>(),
        })
    });
    json!({ "sites": sites.collect::<Vec<_>>() })
}

fn pairs(certificates: &Certificates, site: SiteId) -> &[Arc<Pair>] {
    certificates.site(site).map(SiteCertificates::pairs).unwrap_or_default()
}

/// The authority that issues for the running program; a look at a configuration may have another one.
fn kept_authority(config: &Config) -> Option<Authority> {
    State::of(config).and_then(|state| state.look()).ok().flatten()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

const DAY_S: i64 = 24 * 60 * 60;

#[cfg(test)]
mod tests;
