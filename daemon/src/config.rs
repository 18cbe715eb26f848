//! The settings file: TOML in, checked settings out, before anything is connected.

mod explain;

use alluvial_consumer::{Balance, LeaseMode, Mode, OnLoss, Settings, StartPosition, SubscriptionKind};
use alluvial_enrich::{
    InvalidSetting, OnErrorSettings, PackSettings, PipelineLimits, PipelineSettings, SinkSettings, TransformSettings,
    parse_bytes, parse_duration,
};
use alluvial_runtime::exit::Failure;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// A settings file with every setting, its default and what it does.
pub(crate) const TEMPLATE: &str = include_str!("config/template.toml");

/// The settings file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    source: Source,
    #[serde(default)]
    transform: Vec<TransformSettings>,
    #[serde(default)]
    pack: PackSettings,
    sink: SinkSettings,
    on_error: OnErrorSettings,
}

/// What is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    stream: String,
    application: String,
    lease_table: Option<String>,
    consumer_name: Option<String>,
    worker: Option<String>,
    #[serde(default = "trim_horizon")]
    start: String,
    budget: Option<String>,
    failover: Option<String>,
    lease_mode: Option<String>,
    balance: Option<String>,
    max_leases: Option<usize>,
    handoff_timeout: Option<String>,
    checkpoint_interval: Option<String>,
    drain_grace: Option<String>,
    deaggregate: Option<bool>,
    subscription: Option<String>,
    renew_between: Option<[String; 2]>,
    mode: Option<String>,
    on_loss: Option<String>,
}

fn trim_horizon() -> String {
    "trim_horizon".into()
}

/// All that the daemon is told, checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) consumer: Settings,
    pub(crate) lease_table: String,
    pub(crate) pipeline: PipelineLimits,
}

/// Reads and checks a settings file. Lookup tables are read too; relative paths start at the file's folder.
///
/// # Errors
/// [`alluvial_runtime::exit::Exit::Usage`], naming file, setting and fix.
pub(crate) fn read(path: &Path, default_worker: &str) -> Result<Checked, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read the settings file {}: {error}", path.display())))?;
    let base = path.parent().unwrap_or(Path::new("."));
    parse(&text, base, default_worker).map_err(|why| Failure::usage(format!("{}: {why}", path.display())))
}

fn parse(text: &str, base: &Path, default_worker: &str) -> Result<Checked, String> {
    let config: Config = toml::from_str(text).map_err(|error| explain::explain(&error))?;
    let consumer = config.source.check(default_worker).map_err(|error| error.to_string())?;
    let lease_table = config.source.lease_table.clone().unwrap_or_else(|| config.source.application.clone());
    let pipeline = PipelineSettings {
        transform: config.transform,
        pack: config.pack,
        sink: config.sink,
        on_error: config.on_error,
    };
    let pipeline = pipeline.check(base).map_err(|error| error.to_string())?;
    Ok(Checked { consumer, lease_table, pipeline })
}

impl Source {
    fn check(&self, default_worker: &str) -> Result<Settings, InvalidSetting> {
        let names = [
            ("source.stream", Some(&self.stream)),
            ("source.application", Some(&self.application)),
            ("source.lease_table", self.lease_table.as_ref()),
            ("source.consumer_name", self.consumer_name.as_ref()),
            ("source.worker", self.worker.as_ref()),
        ];
        for (name, value) in names.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if value.is_empty() {
                return Err(InvalidSetting::new(name, "is empty"));
            }
            if value.starts_with("arn:") {
                return Err(InvalidSetting::new(name, format!("{value:?} is an ARN; a name is wanted")));
            }
        }
        let consumer_name = self.consumer_name.as_ref().unwrap_or(&self.application);
        let worker = self.worker.as_deref().unwrap_or(default_worker);
        let mut settings = Settings::new(&self.stream, consumer_name, worker);
        settings.start = parse_start(&self.start)?;
        settings.deaggregate = self.deaggregate.unwrap_or(settings.deaggregate);
        if let Some(budget) = &self.budget {
            settings.budget_bytes = parse_bytes(budget).map_err(|why| InvalidSetting::new("source.budget", why))?;
            if settings.budget_bytes < 1024 * 1024 {
                return Err(InvalidSetting::new("source.budget", format!("{budget:?} is below 1MiB")));
            }
        }
        self.check_reading(&mut settings)?;
        self.check_fleet(&mut settings)?;
        let times = [
            ("source.failover", &self.failover, &mut settings.failover, 1, 300),
            ("source.handoff_timeout", &self.handoff_timeout, &mut settings.handoff_timeout, 1, 600),
            ("source.checkpoint_interval", &self.checkpoint_interval, &mut settings.checkpoint_interval, 0, 600),
            ("source.drain_grace", &self.drain_grace, &mut settings.drain_grace, 0, 600),
        ];
        for (name, given, setting, least_seconds, most_seconds) in times {
            let Some(text) = given else { continue };
            let value = parse_duration(text).map_err(|why| InvalidSetting::new(name, why))?;
            let range =
                Duration::from_secs(least_seconds).max(Duration::from_millis(100))..=Duration::from_secs(most_seconds);
            if !range.contains(&value) {
                let why = format!("{text:?} is outside of {:?} to {:?}", range.start(), range.end());
                return Err(InvalidSetting::new(name, why));
            }
            *setting = value;
        }
        Ok(settings)
    }
}

fn one_of(name: &'static str, given: &str, names: &str) -> InvalidSetting {
    InvalidSetting::new(name, format!("{given:?} is none of {names}"))
}

/// The ages between which a subscription is renewed. Kinesis takes a new one of a shard five seconds after the last.
fn parse_renewal(between: &[String; 2]) -> Result<(Duration, Duration), InvalidSetting> {
    const NAME: &str = "source.renew_between";
    let time = |text: &String| parse_duration(text).map_err(|why| InvalidSetting::new(NAME, why));
    let (least, most) = (time(&between[0])?, time(&between[1])?);
    if least < Duration::from_secs(5) || least > most || most > Duration::from_secs(86_400) {
        let why = format!("{between:?} is no range from 5s to 24h; write the lesser age first");
        return Err(InvalidSetting::new(NAME, why));
    }
    Ok((least, most))
}

impl Source {
    /// What concerns the way in which records are read.
    fn check_reading(&self, settings: &mut Settings) -> Result<(), InvalidSetting> {
        settings.subscription = match self.subscription.as_deref() {
            None | Some("direct") => SubscriptionKind::Direct,
            Some("sdk") => SubscriptionKind::Sdk,
            Some(other) => return Err(one_of("source.subscription", other, "direct and sdk")),
        };
        if let Some(between) = &self.renew_between {
            settings.renew_between = parse_renewal(between)?;
        }
        settings.mode = match self.mode.as_deref() {
            None | Some("auto") => Mode::Auto,
            Some("fan-out") => Mode::FanOut,
            Some("polling") => Mode::Polling,
            Some(other) => return Err(one_of("source.mode", other, "auto, fan-out and polling")),
        };
        settings.on_loss = match self.on_loss.as_deref() {
            None | Some("halt") => OnLoss::Halt,
            Some("continue") => OnLoss::Continue,
            Some(other) => return Err(one_of("source.on_loss", other, "halt and continue")),
        };
        Ok(())
    }

    /// What concerns the other workers of the application.
    fn check_fleet(&self, settings: &mut Settings) -> Result<(), InvalidSetting> {
        settings.lease_mode = match self.lease_mode.as_deref() {
            None | Some("kcl") => LeaseMode::Kcl,
            Some("compact") => LeaseMode::Compact,
            Some(other) => return Err(one_of("source.lease_mode", other, "kcl and compact")),
        };
        settings.balance = match self.balance.as_deref() {
            None | Some("count") => Balance::Count,
            Some("throughput") => Balance::Throughput,
            Some(other) => return Err(one_of("source.balance", other, "count and throughput")),
        };
        match self.max_leases {
            None => {}
            Some(0) => {
                return Err(InvalidSetting::new("source.max_leases", "0 leases: this worker would read nothing"));
            }
            Some(most) => settings.max_leases = most,
        }
        Ok(())
    }
}

fn parse_start(text: &str) -> Result<StartPosition, InvalidSetting> {
    match text {
        "trim_horizon" => Ok(StartPosition::TrimHorizon),
        "latest" => Ok(StartPosition::Latest),
        time => {
            let millis =
                time.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok());
            millis.map(StartPosition::AtTimestamp).ok_or_else(|| {
                let why = format!("{time:?} is none of trim_horizon, latest and a time such as 2026-11-23T00:00:00Z");
                InvalidSetting::new("source.start", why)
            })
        }
    }
}

#[cfg(test)]
mod tests;
