//! Reading events: packet by packet through a window, class by class along a plan.

mod bind;
mod count;
mod feed;
mod owned;
mod reader;
mod scan;
mod survey;
#[cfg(test)]
pub(crate) mod tests;
mod value;
mod view;
mod walk;
mod window;

pub use bind::{Bound, FieldPath, Wanted};
pub use count::Counts;
pub(crate) use count::count;
pub use owned::OwnedEvent;
pub use reader::{Extract, StreamReader};
pub(crate) use survey::survey;
pub use value::{Item, Value};
pub use view::{EventView, FieldError};
pub(crate) use window::{WINDOW, Window};
