//! The emulator's clock: wall time, or time that runs faster, stands still or jumps, so that a test meets a five-minute
//! limit in seconds.

use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;

/// Reads emulated time and waits for it. Copies are one clock: what one is told holds for all, and wakes whoever sleeps.
///
/// Emulated time never goes back. It follows tokio's clock, so that a test with a paused one decides what time it is.
#[derive(Debug, Clone)]
pub struct Clock {
    pace: Arc<watch::Sender<Pace>>,
}

/// How emulated time follows from the machine's monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The emulated time at `since`.
    time: SystemTime,
    since: Instant,
    speed: f64,
}

/// A speed that no clock can have: not finite, or below zero.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no speed of a clock: give a finite number, 0 (stands still) or above")]
pub struct InvalidSpeed(pub f64);

/// A time beyond what the machine can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock cannot go {0:?} ahead: no such time can be expressed")]
pub struct TooFar(pub Duration);

impl Pace {
    fn at(&self, instant: Instant) -> SystemTime {
        let passed = instant.saturating_duration_since(self.since).as_secs_f64() * self.speed;
        // A speed that overflows time holds it at its end.
        let passed = Duration::try_from_secs_f64(passed).unwrap_or(Duration::ZERO);
        self.time.checked_add(passed).unwrap_or(self.time)
    }

    /// How long the machine's clock needs for `emulated`; `None` if it never gets there, or not within a century.
    fn real(&self, emulated: Duration) -> Option<Duration> {
        let seconds = emulated.as_secs_f64() / self.speed;
        (seconds < 3_155_760_000.0).then(|| Duration::from_secs_f64(seconds))
    }
}

impl Clock {
    /// A clock that runs `speed` times as fast as the machine's, starting from its present time.
    ///
    /// `speed` 1.0 is real time; 60.0 lets a five-minute subscription expire after five seconds; 0.0 stands still.
    ///
    /// # Errors
    /// [`InvalidSpeed`] if `speed` is not finite, or below zero.
    pub fn new(speed: f64) -> Result<Self, InvalidSpeed> {
        #[allow(clippy::disallowed_methods, reason = "the emulator's one reading of the wall clock")]
        Self::starting_at(SystemTime::now(), speed)
    }

    /// A clock that shows `time` now. Two runs that start at one time see the same times.
    ///
    /// # Errors
    /// As [`Clock::new`].
    pub fn starting_at(time: SystemTime, speed: f64) -> Result<Self, InvalidSpeed> {
        check(speed)?;
        Ok(Self { pace: Arc::new(watch::Sender::new(Pace { time, since: Instant::now(), speed })) })
    }

    /// The emulated time.
    pub fn now(&self) -> SystemTime {
        self.pace.borrow().at(Instant::now())
    }

    /// The emulated time in milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_millis(&self) -> u64 {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// How many times faster than the machine's clock this one runs.
    pub fn speed(&self) -> f64 {
        self.pace.borrow().speed
    }

    /// Runs at another speed from now on.
    ///
    /// # Errors
    /// As [`Clock::new`]; the clock then goes on as before.
    pub fn set_speed(&self, speed: f64) -> Result<(), InvalidSpeed> {
        check(speed)?;
        self.pace.send_modify(|pace| {
            let now = Instant::now();
            *pace = Pace { time: pace.at(now), since: now, speed };
        });
        Ok(())
    }

    /// Jumps ahead: all that was to happen within `emulated` is due now.
    ///
    /// # Errors
    /// [`TooFar`] if the machine cannot express the time; the clock then goes on as before.
    pub fn advance(&self, emulated: Duration) -> Result<(), TooFar> {
        let mut reached = Ok(());
        self.pace.send_modify(|pace| match pace.time.checked_add(emulated) {
            Some(time) => pace.time = time,
            None => reached = Err(TooFar(emulated)),
        });
        reached
    }

    /// Waits for `emulated` of emulated time.
    pub async fn sleep(&self, emulated: Duration) {
        match self.now().checked_add(emulated) {
            Some(time) => self.sleep_until(time).await,
            None => std::future::pending().await,
        }
    }

    /// Waits until the emulated time is `time`, whatever becomes of the clock's speed meanwhile.
    pub async fn sleep_until(&self, time: SystemTime) {
        let mut pace = self.pace.subscribe();
        loop {
            let now = *pace.borrow_and_update();
            let Ok(left) = time.duration_since(now.at(Instant::now())) else { return };
            if left.is_zero() {
                return;
            }
            let passed = async {
                match now.real(left) {
                    Some(real) => tokio::time::sleep(real).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = pace.changed() => if changed.is_err() { return },
                () = passed => {}
            }
        }
    }
}

fn check(speed: f64) -> Result<(), InvalidSpeed> {
    if speed.is_finite() && speed >= 0.0 { Ok(()) } else { Err(InvalidSpeed(speed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn clock(speed: f64) -> Clock {
        Clock::starting_at(SystemTime::UNIX_EPOCH, speed).unwrap()
    }

    async fn real_time_of(sleep: impl Future<Output = ()>) -> Duration {
        let began = Instant::now();
        sleep.await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_faster_clock_shortens_every_wait() {
        let clock = clock(60.0);
        assert_eq!(real_time_of(clock.sleep(MINUTE)).await, Duration::from_secs(1));
        assert_eq!(clock.now_millis(), 60_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_speed_wakes_who_sleeps() {
        let clock = clock(1.0);
        let change = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            clock.set_speed(30.0).unwrap();
        };
        let sleep = real_time_of(clock.sleep(MINUTE));
        let ((), slept) = tokio::join!(change, sleep);
        assert_eq!(slept, Duration::from_secs(31));
        assert_eq!(clock.now_millis(), 60_000, "no time is lost or won by the change");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_stands_still_goes_on_by_jumps_alone() {
        let clock = clock(0.0);
        let jump = async {
            tokio::time::sleep(MINUTE * 60).await;
            assert_eq!(clock.now_millis(), 0);
            clock.advance(MINUTE).unwrap();
        };
        tokio::join!(clock.sleep(MINUTE), jump);
        assert_eq!(clock.now_millis(), 60_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_clock_can_do_is_refused_and_changes_nothing() {
        let clock = clock(2.0);
        for speed in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(clock.set_speed(speed).is_err(), "{speed}");
            assert!(Clock::new(speed).is_err(), "{speed}");
        }
        assert_eq!(clock.advance(Duration::MAX), Err(TooFar(Duration::MAX)));
        assert_eq!((clock.speed(), clock.now_millis()), (2.0, 0));
    }
}
