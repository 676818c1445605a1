//! `account.*`: what an account says of itself.

use grammers_tl_types::functions as f;

use super::{Answer, Context};

/// Presence: nobody in the sandbox looks at it.
pub(super) fn update_status(context: &mut Context<'_>, _: f::account::UpdateStatus) -> Answer<bool> {
    context.me()?;
    Ok(true)
}
