//! The emulator's clock: wall time, or wall time run faster so that tests meet a five-minute limit in seconds.

use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Reads time and waits for it. Copies share one origin and one speed.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall_origin: SystemTime,
    origin: Instant,
    speed: f64,
}

impl Clock {
    /// A clock that runs `speed` times as fast as the machine's, starting from its present time.
    ///
    /// `speed` 1.0 is real time; 60.0 lets a five-minute subscription expire after five seconds.
    /// Values that are not finite or not above zero count as 1.0.
    pub fn new(speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        #[allow(clippy::disallowed_methods, reason = "the emulator's one reading of the wall clock")]
        Self { wall_origin: SystemTime::now(), origin: Instant::now(), speed }
    }

    /// The emulated time.
    pub fn now(&self) -> SystemTime {
        self.wall_origin + self.origin.elapsed().mul_f64(self.speed)
    }

    /// The emulated time in milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_millis(&self) -> u64 {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for `emulated` of emulated time.
    pub async fn sleep(&self, emulated: Duration) {
        tokio::time::sleep(emulated.div_f64(self.speed)).await;
    }

    /// The instant, on the machine's monotonic clock, that lies `emulated` ahead in emulated time.
    pub fn instant_after(&self, emulated: Duration) -> Instant {
        Instant::now() + emulated.div_f64(self.speed)
    }
}
