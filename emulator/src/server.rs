//! The running emulator: what it owns, in which order it starts, and in which order it stops.

mod connection;
mod connector;
mod control;
mod error;
mod folder;
mod handle;
mod http2;
mod line;
mod listen;
mod memory;
mod metrics;
mod route;

use crate::clock::Clock;
use crate::dynamodb::DynamoDb;
use crate::fault::{Faults, Plan};
use crate::firehose::{self, Firehose};
use crate::journal::Journals;
use crate::kinesis::Kinesis;
use crate::random::Random;
use crate::s3::S3;
use crate::settings::Settings;
use crate::{api, tls};
use connection::{Protocol, Streams};
pub use connector::Connector;
pub use error::StartError;
use folder::Folder;
pub use handle::Control;
use http2::SharedHttp2;
pub use http2::{Http2, InvalidHttp2};
pub(crate) use line::{Fate, Line};
use listen::Listener;
pub use memory::InMemory;
use route::Services;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A running emulator. Dropping it cuts every connection and loses what Firehose still buffers; [`Emulator::stop`] does
/// neither.
pub struct Emulator {
    /// Where this machine finds it.
    host: IpAddr,
    port: u16,
    plain_port: u16,
    ca_bundle: PathBuf,
    listeners: JoinSet<()>,
    core: Core,
}

/// The services of an emulator, and the connections to them.
struct Core {
    services: Arc<Services>,
    protocol: Arc<Protocol>,
    streams: Streams,
    stop: CancellationToken,
    _cut_on_drop: DropGuard,
    _folder: Folder,
}

impl Core {
    /// Opens the data in `folder`.
    fn open(settings: &Settings, clock: Clock, folder: Folder) -> Result<Self, StartError> {
        let faults = Faults::new(clock.clone());
        faults.set(Plan::parse(&settings.faults)?);
        let http2 = SharedHttp2::new(settings.http2.check()?);
        let random = settings.seed.map_or_else(Random::from_entropy, Random::seeded);
        let journals = || Journals::new(settings.truth.then(|| folder.path("")));
        let s3 = S3::open(&folder.subfolder("s3")?).map_err(|source| folder.unreadable("s3", source))?;
        let dynamodb = DynamoDb::open(&folder.path("dynamodb.sqlite"), clock.clone(), journals())
            .map_err(|source| folder.unreadable("dynamodb.sqlite", source.into()))?;
        let (limits, state_delay) = (settings.limits, settings.state_delay);
        let kinesis = if settings.persist {
            Kinesis::open(clock.clone(), &folder.path("kinesis"), limits, state_delay)?
        } else {
            Kinesis::new(clock.clone(), Some(folder.path("")), limits, state_delay)
        };
        let firehose = Firehose::new(firehose::Setup {
            clock: clock.clone(),
            s3: s3.clone(),
            kinesis: kinesis.clone(),
            random: random.clone(),
            faults: faults.clone(),
            journals: journals(),
            limits: settings.limits,
            state_delay: settings.state_delay,
        });
        let truth = settings.truth;
        let services = Arc::new(Services { kinesis, firehose, dynamodb, s3, faults, clock, random, truth, http2 });
        let (stop, streams) = (CancellationToken::new(), Streams::new());
        let protocol = Arc::new(Protocol::new(Arc::clone(&services), streams.clone(), stop.clone()));
        Ok(Self { services, protocol, _cut_on_drop: streams.cut_on_drop(), streams, stop, _folder: folder })
    }

    /// Cuts open streams, writes what Firehose buffers to S3, and finishes what S3 has begun to write.
    async fn stop(self) {
        self.stop.cancel();
        self.streams.cut().await;
        self.services.firehose.stop().await;
        self.services.s3.stop().await;
    }
}

impl Emulator {
    /// Opens the data in `settings.dir`, writes `ca.pem` there, binds both ports and serves until [`Emulator::stop`].
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way: a taken port, a folder in use or not writable, data that cannot be
    /// read, or a setting that cannot be.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let clock = clock(&settings)?;
        let folder = Folder::open(&settings.dir)?;
        // Ports first: a taken port is the likeliest mistake, and nothing is written before it is found.
        let tls_port = Listener::bind(settings.host, settings.port, "--port").await?;
        let plain_port = Listener::bind(settings.host, settings.plain_port, "--plain-port").await?;

        // By the machine's time, as clients check it.
        let identity =
            tls::identity(Clock::new(1.0)?.now(), settings.host).map_err(|error| StartError::Tls(error.into()))?;
        let ca_bundle = folder.write("ca.pem", identity.ca_pem.as_bytes())?;
        let core = Core::open(&settings, clock, folder)?;
        let protocol = Arc::clone(&core.protocol);
        let mut emulator = Self {
            host: reachable(settings.host),
            port: tls_port.port(),
            plain_port: plain_port.port(),
            ca_bundle,
            listeners: JoinSet::new(),
            core,
        };
        emulator.listeners.spawn(tls_port.serve(Some(TlsAcceptor::from(identity.server)), Arc::clone(&protocol)));
        emulator.listeners.spawn(plain_port.serve(None, protocol));
        Ok(emulator)
    }

    /// The TLS endpoint, `https://HOST:PORT`: HTTP/2 and HTTP/1.1, as the client's ALPN asks.
    pub fn endpoint(&self) -> String {
        format!("https://{}", SocketAddr::new(self.host, self.port))
    }

    /// The plaintext endpoint, `http://HOST:PORT`: HTTP/1.1, and HTTP/2 with prior knowledge.
    pub fn plain_endpoint(&self) -> String {
        format!("http://{}", SocketAddr::new(self.host, self.plain_port))
    }

    /// The PEM file with the CA that signed the server's certificate. It is new at every start.
    pub fn ca_bundle(&self) -> &Path {
        &self.ca_bundle
    }

    /// The environment variables that point an AWS client here, in the order to print them.
    ///
    /// The region is given twice: boto3 reads `AWS_DEFAULT_REGION` only
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html>).
    pub fn exports(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_CA_BUNDLE", self.ca_bundle.display().to_string()),
            ("AWS_REGION", api::REGION.to_owned()),
            ("AWS_DEFAULT_REGION", api::REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", api::ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", api::SECRET_KEY.to_owned()),
        ]
    }

    /// Kinesis itself, for tests that force what takes minutes or is seldom in life.
    pub fn kinesis(&self) -> &Kinesis {
        &self.core.services.kinesis
    }

    /// Faults, the clock and ground truth.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.core.services))
    }

    /// Stops: closes both ports, gives requests in flight a short time to finish, cuts open subscriptions, writes what
    /// Firehose buffers to S3, finishes what S3 has begun to write, and returns when every task has ended.
    pub async fn stop(mut self) {
        self.core.stop.cancel();
        while let Some(ended) = self.listeners.join_next().await {
            connection::report(ended);
        }
        self.core.stop().await;
    }
}

/// The address at which this machine reaches what listens on `host`.
fn reachable(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    }
}

/// The emulated clock that `settings` ask for.
fn clock(settings: &Settings) -> Result<Clock, StartError> {
    Ok(match settings.starts_at {
        Some(time) => Clock::starting_at(time, settings.clock_speed)?,
        None => Clock::new(settings.clock_speed)?,
    })
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("port", &self.port)
            .field("plain_port", &self.plain_port)
            .finish_non_exhaustive()
    }
}
