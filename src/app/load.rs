//! From a configuration to a snapshot, the first time and again.

use super::Failure;
use super::inherited::Inherited;
use super::listeners::{Made, bind};
use super::privilege::Plan;
use super::state::wants_authority;
use super::tls::Secrets;
use crate::config::{self, Severity};
use crate::control;
use crate::model::{Config, Privileges};
use crate::shared::Registry;
use crate::snapshot::{Bound, Snapshot};
use ringferry_runtime::random;
use ringferry_runtime::time::monotonic;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What outlives a snapshot: server cells, certificates and ticket keys, our name, what this process may reach.
pub(super) struct Loader {
    file: Option<PathBuf>,
    /// Our own folder where no configuration names one: as it was before we may have become another user.
    state: Option<PathBuf>,
    privileges: Privileges,
    /// Which files can be reached, if not all.
    plan: Option<Plan>,
    cores: usize,
    quiet: bool,
    /// The ceiling on memory that was written at the start.
    memory: Option<u64>,
    registry: Registry,
    secrets: Secrets,
    made: Made,
    instance: Arc<str>,
}

impl Loader {
    pub(super) fn new(
        file: Option<PathBuf>,
        state: Option<PathBuf>,
        privileges: Privileges,
        cores: usize,
        quiet: bool,
        inherited: Inherited,
    ) -> Loader {
        Loader {
            file,
            state,
            privileges,
            plan: None,
            cores,
            quiet,
            memory: None,
            registry: Registry::default(),
            secrets: Secrets::new(),
            made: Made::of(inherited),
            // Of this process alone: two proxies in a row are no loop.
            instance: format!("ringferry-{:016x}", random()).into(),
        }
    }

    /// The snapshot to start with.
    pub(super) fn first(&mut self, config: Config) -> Result<control::Loaded<Snapshot>, Failure> {
        self.memory = config.resources.memory;
        let mut loaded = self.build(1, config, &[], Vec::new())?;
        loaded.warnings.extend(self.made.close_inherited());
        Ok(loaded)
    }

    /// From here on only these files can be reached.
    pub(super) fn confined_to(&mut self, plan: Plan) {
        self.plan = Some(plan);
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
        let Some(config) = loaded.config else { return Err(render(errors).join("\n")) };
        self.reaches(&config)?;
        let mut warnings = render(warnings);
        if config.resources.memory != self.memory {
            let what = "the ceiling stays as it was at the start; restart to change it";
            warnings.push(format!("{name}: warning: resources.memory: {what}"));
        }
        if config.privileges != self.privileges {
            warnings.push(PRIVILEGES_CHANGED.to_owned());
        }
        self.build(generation, config, &in_force.listeners, warnings).map_err(|failure| failure.to_string())
    }

    /// Whether the files of `config` are among those that can be reached.
    fn reaches(&self, config: &Config) -> Result<(), String> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let state = config.state.as_deref().or(self.state.as_deref()).filter(|_| wants_authority(config));
        if let Some(state) = state.filter(|state| !state.is_dir()) {
            return Err(out_of_reach(state));
        }
        plan.allows(&Plan::of(config, self.file.as_deref(), state)).map_err(|path| out_of_reach(&path))
    }

    /// What is due without anybody asking: new ticket keys, and a snapshot with certificates of our own that last
    /// longer than those in force. It reads no configuration.
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
        config.state = config.state.or_else(|| self.state.clone());
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

/// Neither can be lifted again: that is the sense of it.
fn out_of_reach(path: &Path) -> String {
    format!(
        "{}: Landlock keeps this process to the folders that its configuration named at the start, and this is in none \
         of them, or has been put in the place of one: restart Ringferry to have it, or start it with landlock = false \
         in [privileges]",
        path.display()
    )
}

const PRIVILEGES_CHANGED: &str = "warning: [privileges] has changed: what was given up cannot be had back, and the \
                                  rest is given up at a start: restart Ringferry";

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn monotonic_s() -> u64 {
    monotonic().as_millis() / 1000
}
