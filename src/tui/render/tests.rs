//! Tests of render.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::*;
use crate::tui::theme::Theme;
use ratatui::style::{Color, Modifier};

fn sample() -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 2));
    buffer.set_string(0, 0, "日本 <a&b>", Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD));
    buffer.set_string(2, 1, "x", Style::new().bg(Color::Indexed(196)).add_modifier(Modifier::REVERSED));
    buffer
}

#[test]
fn text_keeps_wide_characters_in_place() {
    assert_eq!(to_text(&sample()), "日本 <a&b>\n  x\n");
}

#[test]
fn ansi_tells_styles_once() {
    let expected =
        "\u{1b}[0;1;36m日本 <a&b>\u{1b}[0m  \u{1b}[0m\n  \u{1b}[0;7;48;5;196mx\u{1b}[0m         \u{1b}[0m\n";
    assert_eq!(to_ansi(&sample()), expected);
}

#[test]
fn svg_is_escaped_and_placed() {
    insta::assert_snapshot!(to_svg(&sample(), &Theme::default()));
}

#[tokio::test]
async fn a_frame_waits_for_what_the_keys_asked_for() {
    use crate::tui::testing::{Stage, data::Data, health};
    use tokio::sync::mpsc::channel;
    let size = Size::new(80, 24);
    let mut stage = Stage::before_start(80, 24, Data::with_runs(300));
    let (requests, mut asked) = channel::<Request>(8);
    let (tell, mut events) = channel(8);
    let mut data = stage.data.clone();
    let worker = tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            for event in data.answer(&request) {
                tell.send(event).await.unwrap();
            }
            tell.send(Event::Health(health(["experiments"]))).await.unwrap();
        }
    });
    let keys = crate::tui::keys::parse("G").unwrap();
    let patience = Duration::from_secs(20);
    let buffer = frame(&mut stage.app, &keys, size, &requests, &mut events, patience).await;
    assert!(to_text(&buffer).contains("300 of 300"));
    drop(requests);
    worker.await.unwrap();
}
