//! Randomness from the operating system.

use ring::rand::{SecureRandom, SystemRandom};
use switchyard_actors::ports::Rng;

/// The operating system's generator, by way of ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    /// # Panics
    /// When the operating system has no randomness to give: an id made without it could be made twice.
    #[expect(
        clippy::panic,
        reason = "without randomness no id is safe, and the actor that asked is restarted"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        if SystemRandom::new().fill(buffer).is_err() {
            panic!("the operating system gives no randomness");
        }
    }
}
