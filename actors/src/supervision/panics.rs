//! Catching panics: text from the payload, file and line from a hook, attribution by whoever called.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

/// Text and place of a caught panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caught {
    pub(crate) text: String,
    pub(crate) location: Option<String>,
}

thread_local! {
    /// How many catches are open on this thread; above zero the hook records instead of printing.
    static OPEN: Cell<usize> = const { Cell::new(0) };
    /// Places of panics not yet caught, innermost last.
    static PLACES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The one process-wide item of the runtime: panics inside a supervised child are recorded, all others go to the
/// hook that was there before. May be called any number of times.
pub fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let supervised = OPEN.try_with(|open| open.get() > 0).unwrap_or(false);
            if !supervised {
                return before(info);
            }
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
            PLACES.with(|places| {
                if let Ok(mut places) = places.try_borrow_mut() {
                    places.push(place);
                }
            });
        }));
    });
}

/// Runs `work`; a panic becomes a value.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, Caught> {
    OPEN.with(|open| open.set(open.get().saturating_add(1)));
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    let outermost = OPEN.with(|open| {
        open.set(open.get().saturating_sub(1));
        open.get() == 0
    });
    let caught = outcome.map_err(|payload| {
        let text = text_of(payload);
        let location = PLACES.with(|places| places.borrow_mut().pop()).filter(|place| !place.is_empty());
        Caught { text, location }
    });
    if outermost {
        // Left over when the child caught a panic of its own.
        PLACES.with(|places| places.borrow_mut().clear());
    }
    caught
}

fn text_of(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>().map_err(|payload| payload.downcast::<&'static str>()) {
        Ok(text) => *text,
        Err(Ok(text)) => (*text).to_owned(),
        Err(Err(payload)) => {
            forget(payload);
            "panic with a payload that is no text".to_owned()
        }
    }
}

/// Drops a panic's payload; one whose own drop panics is leaked instead.
fn forget(payload: Box<dyn Any + Send>) {
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
