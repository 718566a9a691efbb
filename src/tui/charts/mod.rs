//! Charts: pure drawing of given data.
//!
//! Every chart is a value with a `draw(&self, area, buffer, theme)`. It draws what fits: first the legend goes, then the
//! labels of the axes, and at last it says that there is no room.

pub mod band;
pub mod bars;
pub mod braille;
pub mod cloud;
pub mod curve;
pub mod palette;
pub mod plot;
pub mod scatter;
pub mod smooth;
pub mod thin;
pub mod ticks;
pub mod view;

#[cfg(test)]
pub(crate) mod testing;
