//! From a configuration to a snapshot, the first time and again.

use super::Failure;
use super::listeners::{Made, bind};
use super::tls::Secrets;
use crate::config::{self, Severity};
use crate::control;
use crate::model::Config;
use crate::shared::Registry;
use crate::snapshot::{Bound, Snapshot};
use ringferry_runtime::random;
use ringferry_runtime::time::monotonic;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What outlives a snapshot: server cells, certificates and ticket keys, our name.
pub(super) struct Loader {
    file: Option<PathBuf>,
    cores: usize,
    quiet: bool,
    registry: Registry,
    secrets: Secrets,
    made: Made,
    instance: Arc<str>,
}

impl Loader {
    pub(super) fn new(file: Option<PathBuf>, cores: usize, quiet: bool) -> Loader {
        Loader {
            file,
            cores,
            quiet,
            registry: Registry::default(),
            secrets: Secrets::new(),
            made: Made::default(),
            // Of this process alone: two proxies in a row are no loop.
            instance: format!("ringferry-{:016x}", random()).into(),
        }
    }

    /// The snapshot to start with.
    pub(super) fn first(&mut self, config: Config) -> Result<control::Loaded<Snapshot>, Failure> {
        self.build(1, config, &[], Vec::new())
    }

    /// Reads the file again, for a snapshot that may take over from `in_force`. An error leaves everything as it is.
    pub(super) fn again(&mut self, generation: u64, in_force: &Snapshot) -> Result<control::Loaded<Snapshot>, String> {
        let Some(file) = self.file.clone() else {
            return Err("there is no configuration file to read again: this runs from its command line".to_owned());
        };
        let name = file.display().to_string();
        let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {name}: {error}"))?;
        let loaded = config::load(&text, &name);
        let (errors, warnings): (Vec<_>, Vec<_>) =
            loaded.problems.iter().partition(|problem| problem.severity == Severity::Error);
        let render = |problems: Vec<&config::Problem>| -> Vec<String> {
            problems.into_iter().map(|problem| problem.render(&name, false)).collect()
        };
        match loaded.config {
            Some(config) => self
                .build(generation, config, &in_force.listeners, render(warnings))
                .map_err(|failure| failure.to_string()),
            None => Err(render(errors).join("\n")),
        }
    }

    /// What is due without anybody asking: new ticket keys, and a snapshot with certificates of our own that last longer
    /// than those in force. It reads no configuration.
    pub(super) fn look_after(
        &mut self,
        generation: u64,
        in_force: &Snapshot,
    ) -> Option<Result<control::Loaded<Snapshot>, String>> {
        if !self.secrets.look_after(unix_s(), monotonic_s()) {
            return None;
        }
        let built = self.build(generation, in_force.config.clone(), &in_force.listeners, Vec::new());
        Some(built.map_err(|failure| failure.to_string()))
    }

    fn build(
        &mut self,
        generation: u64,
        mut config: Config,
        current: &[Arc<Bound>],
        mut warnings: Vec<String>,
    ) -> Result<control::Loaded<Snapshot>, Failure> {
        if self.quiet {
            config.log.format = None;
        }
        let prepared = self.secrets.prepare(&config, unix_s(), monotonic_s()).map_err(Failure::Resource)?;
        warnings.extend(prepared.warnings);
        let listeners = bind(&config.listeners, current, self.cores, &mut self.made)?;
        let tls = prepared.kept.status(&config);
        self.secrets.keep(prepared.kept);
        let drain_timeout = config.timeouts.drain;
        let instance = self.instance.clone();
        let snapshot = Snapshot::new(generation, config, listeners, prepared.tls, instance, &mut self.registry);
        self.registry.sweep();
        Ok(control::Loaded {
            source: self.file.as_deref().map_or("the command line".into(), |file: &Path| file.display().to_string()),
            listeners: snapshot.listeners.iter().map(|bound| bound.url()).collect(),
            tls,
            servers: snapshot.pools.iter().flat_map(|pool| pool.servers.iter().cloned()).collect(),
            snapshot: Arc::new(snapshot),
            drain_timeout,
            warnings,
        })
    }
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn monotonic_s() -> u64 {
    monotonic().as_millis() / 1000
}
