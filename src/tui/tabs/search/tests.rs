//! The search tab.

use crossterm::event::KeyCode;
use proptest::prelude::*;
use ratatui::style::Modifier;
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::document::ModelStats;
use crate::domain::embedding_map::{EmbeddingMap, Spot};
use crate::domain::index::Why;
use crate::domain::index::{Index, IndexKind, IndexState, NewIndex, Over};
use crate::tui::context::Effect;
use crate::tui::tabs::testing::{Desk, body, down, tumble};
use crate::tui::testing::Stage;
use crate::tui::testing::data::Data;
use crate::worker::protocol::{
    Cancel, Command, IngestForm, IngestPlace, JobState, JobUpdate, MapRead, Write,
};

fn hit(id: &str, distance: f64, content: &str) -> DocumentHit {
    let Value::Object(metadata) = json!({"rating": 5, "category": "audio"}) else { unreachable!() };
    DocumentHit {
        document_id: id.to_owned(),
        model_name: "labtop-static-384".to_owned(),
        content: content.to_owned(),
        metadata,
        distance,
    }
}

fn reviews() -> Vec<DocumentHit> {
    vec![
        hit("review_001", 0.1234, "This product exceeded my expectations! Great quality and fast delivery."),
        hit("review_002", 0.5, "The product is okay but could be better. Average experience overall."),
        hit("review_003", 1.25, "Disappointed with the purchase. Poor quality and bad customer service."),
    ]
}

fn exactly(hits: Vec<DocumentHit>) -> Nearest {
    Nearest { hits, scan: Scan::Exact(Why::Always) }
}

fn odd() -> Vec<DocumentHit> {
    let mut huge = hit("huge", 0.3, &"long word ".repeat(100_000));
    huge.metadata = Map::new();
    vec![
        hit(
            "\u{1b}[31mred\u{1b}[0m",
            f64::NAN,
            "escape \u{1b}[2J and\ttab and\nnew line\r\nand \u{202e}turned",
        ),
        hit("日本語の文書", 0.25, "全角文字は二桁の幅を取る。e\u{301}tude, nai\u{308}ve. 絵文字 👩‍🔬 🧪"),
        huge,
    ]
}

fn models() -> Answer {
    let model = |name: &str, dimension, documents| EmbeddingModel {
        name: name.to_owned(),
        dimension,
        distance: Distance::Cosine,
        documents,
    };
    Answer::EmbeddingModels(vec![
        model("labtop-static-384", 384, 1204),
        model("text-embedding-ada-002", 1536, 3),
    ])
}

fn desk(width: u16, height: u16) -> Desk<Search> {
    let mut desk = Desk::new(Search::default(), width, height);
    desk.refresh().answer(Slot::Models, Ok(models()));
    desk
}

fn answered(width: u16, height: u16, hits: Vec<DocumentHit>) -> Desk<Search> {
    let mut desk = desk(width, height);
    desk.act(Action::Filter).submit("great quality");
    desk.answer(Slot::Search, Ok(Answer::Search { found: exactly(hits), took: Duration::from_micros(4200) }));
    desk.requests();
    desk
}

#[test]
fn before_a_search_the_models_are_shown() {
    insta::assert_snapshot!("idle_small", desk(80, 21).screen());
    insta::assert_snapshot!("idle_large", desk(160, 42).screen());
    let mut empty = Desk::new(Search::default(), 80, 21);
    empty.refresh().answer(Slot::Models, Ok(Answer::EmbeddingModels(Vec::new())));
    insta::assert_snapshot!("no_documents", empty.screen());
}

#[test]
fn hits_with_text_and_metadata() {
    insta::assert_snapshot!("hits_small", answered(80, 21, reviews()).screen());
    insta::assert_snapshot!("hits_large", answered(160, 42, reviews()).screen());
}

#[test]
fn odd_texts_are_shown_safely_and_aligned() {
    insta::assert_snapshot!("odd_small", answered(80, 21, odd()).screen());
    insta::assert_snapshot!("odd_large", answered(160, 42, odd()).screen());
}

#[test]
fn a_megabyte_is_scrolled_to_its_metadata() {
    let mut desk = answered(80, 21, odd());
    desk.act(Action::Bottom).act(Action::NextPane).act(Action::Bottom);
    insta::assert_snapshot!(desk.screen());
}

#[test]
fn searching_nothing_found_and_down() {
    let mut desk = desk(80, 21);
    desk.act(Action::Filter).submit("great");
    insta::assert_snapshot!("searching", desk.screen());
    desk.answer(Slot::Search, Ok(Answer::Search { found: exactly(Vec::new()), took: Duration::ZERO }));
    insta::assert_snapshot!("nothing_found", desk.screen());
    desk.refresh().answer(Slot::Search, Err(down()));
    insta::assert_snapshot!("failed", desk.screen());
}

#[test]
fn a_failure_leaves_the_old_hits_in_view() {
    let mut desk = answered(80, 21, reviews());
    desk.refresh().answer(Slot::Search, Err(down()));
    let screen = desk.screen();
    assert!(screen.contains("does not answer") && screen.contains("review_002"), "{screen}");
}

#[test]
fn a_text_is_searched_with_the_published_limit() {
    let mut desk = desk(80, 21);
    desk.requests();
    desk.act(Action::Open);
    assert!(desk.tab.is_typing());
    desk.submit(" great quality ");
    let read = SearchRead {
        query: SearchQuery::Text("great quality".to_owned()),
        terms: SearchTerms {
            limit: 5,
            distance: Distance::Cosine,
            exact: false,
            model: None,
            filter: MetadataFilter::default(),
            ef_search: None,
        },
    };
    assert_eq!(desk.reads(), [Read::Search(read)]);
    assert!(!desk.tab.is_typing());
}

#[test]
fn how_it_was_found_is_said_and_one_key_compares_every_vector() {
    let mut desk = desk(120, 24);
    desk.act(Action::Filter).submit("great quality");
    let scan = Scan::Index { ef_search: 100 };
    let found = Nearest { hits: reviews(), scan };
    desk.answer(Slot::Search, Ok(Answer::Search { found, took: Duration::from_micros(4200) }));
    let screen = desk.screen();
    assert!(screen.contains("4.2 ms") && screen.contains("HNSW index scan, ef_search 100"), "{screen}");
    desk.requests();

    for exact in [true, false] {
        desk.act(Action::ToggleExact);
        let scan = if exact { Scan::Exact(Why::Asked) } else { scan };
        let found = Nearest { hits: reviews(), scan };
        desk.answer(Slot::Search, Ok(Answer::Search { found, took: Duration::from_millis(20) }));
        assert_eq!(desk.screen().contains("exact scan"), exact);
        let reads = desk.reads();
        assert!(matches!(&reads[..], [Read::Search(read)] if read.terms.exact == exact), "{reads:?}");
    }
}

#[test]
fn distance_and_limit_ask_again() {
    let mut desk = answered(80, 21, reviews());
    let asked = |desk: &mut Desk<Search>| match desk.reads().pop() {
        Some(Read::Search(read)) => (read.terms.distance, read.terms.limit),
        other => panic!("{other:?}"),
    };
    let mut distances = Vec::new();
    for _ in 0..4 {
        desk.act(Action::NextDistance);
        distances.push(asked(&mut desk).0);
    }
    assert_eq!(distances, [Distance::L2, Distance::Ip, Distance::L1, Distance::Cosine]);
    desk.act(Action::MoreResults);
    assert_eq!(asked(&mut desk).1, 10);
    desk.act(Action::FewerResults);
    desk.act(Action::FewerResults);
    assert_eq!(asked(&mut desk).1, 3);
}

#[test]
fn like_this_asks_under_the_model_of_the_document() {
    let mut desk = answered(80, 21, reviews());
    desk.act(Action::Down).act(Action::LikeThis);
    let Some(Read::Search(read)) = desk.reads().pop() else { panic!("nothing was asked") };
    let query = SearchQuery::Document { id: "review_002".to_owned(), model: "labtop-static-384".to_owned() };
    assert_eq!(read.query, query);
    assert!(desk.screen().contains("like review_002 (labtop-static-384)"));
}

#[test]
fn only_the_answer_to_the_newest_search_is_shown() {
    let mut desk = desk(80, 21);
    desk.act(Action::Filter).submit("one");
    let old = desk.requests().pop().map(|request| request.ticket).unwrap();
    desk.act(Action::Filter).submit("two");
    let stale = Ok(Answer::Search { found: exactly(reviews()), took: Duration::ZERO });
    desk.hear(&Event::Answer { ticket: old, slot: Slot::Search, result: stale });
    assert!(desk.tab.hits().is_empty() && desk.tab.is_busy());
}

#[test]
fn the_text_is_copied_whole() {
    let mut desk = answered(80, 21, odd());
    desk.act(Action::Copy);
    assert_eq!(desk.effects.pop(), Some(Effect::Copy(odd()[0].content.clone())));
    desk.act(Action::Down).act(Action::CopyLine);
    let Some(Effect::Copy(line)) = desk.effects.pop() else { panic!("nothing was copied") };
    assert!(line.starts_with("日本語の文書\t0.2500\t全角"), "{line}");
}

#[test]
fn panes_clicks_and_wheel() {
    let mut desk = answered(160, 42, reviews());
    desk.click(10, 6);
    assert_eq!(desk.tab.cursor.selected, 1);
    desk.click(120, 10);
    assert_eq!(desk.tab.focus, Focus::Detail);
    desk.act(Action::Back);
    assert_eq!(desk.tab.focus, Focus::Hits);
    desk.mouse(MouseEventKind::ScrollDown, 10, 6);
    desk.click(10, 1);
    assert!(desk.tab.is_typing());
}

#[test]
fn esc_begins_anew() {
    let mut desk = answered(80, 21, reviews());
    desk.act(Action::Back);
    assert!(desk.screen().contains("1,207 documents"));
    desk.act(Action::Filter).key(KeyCode::Esc);
    assert!(!desk.tab.is_typing());
}

fn sides() -> Answer {
    let side = |place: &str, how: &str, exact, ids: [&str; 3]| EngineSide {
        place: place.to_owned(),
        how: how.to_owned(),
        exact,
        took: Duration::from_micros(4200),
        hits: Ok(ids.into_iter().zip([0.1, 0.25, 0.5]).map(|(id, far)| (id.to_owned(), far)).collect()),
    };
    let mut broken = side("reviews in Chroma", "along its HNSW index", false, ["", "", ""]);
    broken.hits = Err(down());
    Answer::Engines(vec![
        side(
            "PostgreSQL",
            "HNSW index scan, ef_search 100",
            false,
            ["review_001", "review_003", "review_004"],
        ),
        side("PostgreSQL", "every vector compared", true, ["review_001", "review_002", "review_003"]),
        side("notes in Chroma", "along its HNSW index", false, ["review_003", "review_001", "review_002"]),
        broken,
    ])
}

#[test]
fn every_engine_is_asked_and_compared() {
    let mut desk = answered(120, 24, reviews());
    desk.act(Action::Versus).answer(Slot::Engines, Ok(sides()));
    let reads = desk.reads();
    assert!(matches!(reads.as_slice(), [Read::Engines(_), Read::Search(_)]), "{reads:?}");
    insta::assert_snapshot!("engines_large", desk.screen());
    insta::assert_snapshot!("engines_small", desk.resize(80, 21).screen());
    desk.act(Action::NextDistance);
    assert_eq!(desk.reads().len(), 2, "every question from then on");
    desk.act(Action::Back);
    assert!(desk.screen().contains("Nearest documents"));
    desk.act(Action::NextDistance);
    assert_eq!(desk.reads().len(), 1);
}

#[test]
fn words_count_too_where_they_are_wanted() {
    let mut desk = answered(120, 24, reviews());
    desk.act(Action::ToggleWords);
    let fused = |hit: DocumentHit, ranks: [Option<usize>; 2]| HybridHit {
        document_id: hit.document_id,
        model_name: hit.model_name,
        content: hit.content,
        metadata: hit.metadata,
        score: 0.03,
        vector_rank: ranks[0],
        distance: ranks[0].map(|_| hit.distance),
        text_rank: ranks[1],
    };
    let ranks = [[Some(1), Some(4)], [Some(2), None], [None, Some(1)]];
    let hits = reviews().into_iter().zip(ranks).map(|(hit, ranks)| fused(hit, ranks)).collect();
    let took = Duration::from_micros(4200);
    desk.answer(Slot::Search, Ok(Answer::Hybrid { hits, scan: Scan::Exact(Why::Always), took }));
    let read = HybridRead {
        text: "great quality".to_owned(),
        terms: SearchTerms { limit: 5, ..SearchTerms::default() },
    };
    assert_eq!(desk.reads(), [Read::Hybrid(read)]);
    insta::assert_snapshot!("words", desk.screen());
    let buffer = desk.buffer();
    let lit = |text: &str| {
        buffer
            .content
            .iter()
            .filter(|cell| cell.style().add_modifier.contains(Modifier::UNDERLINED))
            .any(|cell| text.contains(cell.symbol()))
    };
    assert!(lit("Great"), "words that were asked for are lit");
    desk.act(Action::LikeThis);
    assert!(matches!(desk.reads().as_slice(), [Read::Search(_)]), "a document has no words to ask by");
}

#[test]
fn a_filter_narrows_every_search_until_it_is_taken_away() {
    let mut desk = answered(80, 21, reviews());
    desk.act(Action::Narrow);
    assert!(desk.tab.is_typing());
    desk.submit("rating >=");
    assert!(desk.tab.is_typing() && desk.reads().is_empty(), "one that is wrong stays to be put right");
    desk.submit(" 4");
    let filters = |desk: &mut Desk<Search>| -> Vec<String> {
        let filter = |read: Read| match read {
            Read::Search(read) => read.terms.filter.to_string(),
            other => panic!("{other:?}"),
        };
        desk.reads().into_iter().map(filter).collect()
    };
    assert_eq!(filters(&mut desk), ["rating >= 4"]);
    assert!(desk.screen().contains("rating >= 4"), "{}", desk.screen());
    desk.act(Action::MoreResults);
    assert_eq!(filters(&mut desk), ["rating >= 4"]);
    desk.act(Action::Narrow);
    for _ in "rating >= 4".chars() {
        desk.key(KeyCode::Backspace);
    }
    desk.submit("");
    assert_eq!(filters(&mut desk), [""]);
}

#[test]
fn models_are_gone_through() {
    let mut desk = answered(80, 21, reviews());
    let mut models = Vec::new();
    for _ in 0..3 {
        desk.act(Action::NextModel);
        let reads = desk.reads();
        let [Read::Search(read)] = reads.as_slice() else { panic!("{reads:?}") };
        models.push(read.terms.model.clone());
    }
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(models, [named("labtop-static-384"), named("text-embedding-ada-002"), None]);
}

#[test]
fn add_opens_a_form() {
    let mut desk = desk(80, 21);
    desk.act(Action::Add);
    assert_eq!(desk.popups.len(), 1);
}

#[test]
fn the_keys_of_the_whole_screen_lead_here() {
    let mut stage = Stage::new(80, 24, Data::default());
    stage.press("2");
    stage.silent = true;
    stage.press("/great quality<enter>");
    let ticket = stage.sent.last().unwrap().ticket;
    let found = Answer::Search { found: exactly(reviews()), took: Duration::from_millis(4) };
    stage.hear(Event::Answer { ticket, slot: Slot::Search, result: Ok(found) });
    insta::assert_snapshot!("whole_screen", body(&stage.screen()));
    stage.press("jms++-");
    let Command::Read(Slot::Search, Read::Search(read)) = stage.last_command() else { panic!("no search") };
    let like = SearchQuery::Document { id: "review_002".to_owned(), model: "labtop-static-384".to_owned() };
    let filter = MetadataFilter::default();
    assert_eq!(
        *read,
        SearchRead {
            query: like,
            terms: SearchTerms {
                limit: 10,
                distance: Distance::L2,
                exact: false,
                model: None,
                filter,
                ef_search: None
            },
        }
    );
    stage.press("areview_004<tab>So good<enter>");
    let write = Write::AddDocument { id: "review_004".to_owned(), text: "So good".to_owned() };
    assert_eq!(*stage.last_command(), Command::Write(write));
}

fn by_chance(read: &Read, number: u16) -> Result<Answer, Failure> {
    match (read, number % 4) {
        (_, 0) => Err(down()),
        (Read::EmbeddingModels, _) => Ok(models()),
        (Read::Engines(_), _) => Ok(sides()),
        (_, 1) => Ok(Answer::Search { found: exactly(Vec::new()), took: Duration::ZERO }),
        _ => Ok(Answer::Search { found: exactly(reviews()), took: Duration::ZERO }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_happens_is_a_panic(steps in prop::collection::vec((0u8..6, 0u16..400, 0u16..400), 0..60)) {
        tumble(Search::default(), &steps, by_chance);
    }
}

fn spot(id: &str, topic: &str, at: (f64, f64)) -> Spot {
    let Value::Object(metadata) = json!({"topic": topic, "line": id}) else { unreachable!() };
    Spot { document_id: id.to_owned(), excerpt: format!("what {id} says"), metadata, at }
}

/// Two groups, the hits in one of them.
fn drawn_map() -> EmbeddingMap {
    let ring = |step: u32| {
        let (group, far) = if step.is_multiple_of(2) { ("audio", -4.0) } else { ("video", 4.0) };
        let angle = f64::from(step);
        spot(&format!("d{step}"), group, (far + angle.cos(), angle.sin() * f64::from(step % 5)))
    };
    EmbeddingMap {
        model_name: "labtop-static-384".to_owned(),
        documents: 1204,
        spots: (0..60).map(ring).collect(),
        hits: vec![
            spot("review_001", "audio", (-4.5, 0.5)),
            spot("review_002", "audio", (-3.5, 1.0)),
            spot("review_003", "video", (3.0, -2.0)),
        ],
        query: Some((-4.0, 0.0)),
        shares: [0.21, 0.13],
    }
}

fn mapped(width: u16, height: u16) -> Desk<Search> {
    let mut desk = answered(width, height, reviews());
    desk.act(Action::ToggleMap);
    desk.answer(Slot::Map, Ok(Answer::Map(Box::new(drawn_map()))));
    desk.requests();
    desk
}

#[test]
fn the_map_shows_where_hits_and_question_lie() {
    let mut desk = answered(160, 42, reviews());
    desk.act(Action::ToggleMap);
    let read = MapRead {
        model: Some("labtop-static-384".to_owned()),
        query: Some(SearchQuery::Text("great quality".to_owned())),
        hits: ["review_001", "review_002", "review_003"].map(str::to_owned).to_vec(),
    };
    assert_eq!(desk.reads(), [Read::Map(read)]);
    insta::assert_snapshot!("map_large", mapped(160, 42).screen());
    insta::assert_snapshot!("map_small", mapped(80, 21).screen());
    let mut desk = mapped(80, 21);
    desk.act(Action::ToggleMap);
    assert!(!desk.screen().contains("variance"));
}

#[test]
fn arrows_and_clicks_go_from_spot_to_spot() {
    let mut desk = mapped(160, 42);
    desk.act(Action::NextPane).act(Action::Right);
    assert!(desk.screen().contains("◉⠠d30"), "{}", desk.screen());
    assert_eq!(desk.tab.selected().unwrap().document_id, "review_001");
    for _ in 0..20 {
        desk.act(Action::Right);
    }
    let far = desk.tab.spot().unwrap().document_id.clone();
    assert!(desk.tab.selected().unwrap().document_id != far, "{far}");
    desk.act(Action::LikeThis);
    let query = SearchQuery::Document { id: far, model: "labtop-static-384".to_owned() };
    assert!(matches!(&desk.reads()[..], [Read::Search(read)] if read.query == query));

    let mut desk = mapped(160, 42);
    let map = view::places(&desk.tab, Rect::new(0, 0, 160, 42)).map;
    let screen = desk.screen();
    let line = screen.lines().nth(usize::from(map.y + 7)).unwrap();
    let column = line.chars().position(|symbol| symbol == '★').unwrap() as u16;
    desk.click(column, map.y + 7);
    assert_eq!(desk.tab.focus, Focus::Map);
    // The list follows to a hit.
    assert_eq!(desk.tab.selected().unwrap().document_id, "review_002");
    desk.click(map.x + 7, map.y);
    assert!(desk.tab.spot().unwrap().document_id.starts_with('d'));
    assert_eq!(desk.tab.selected().unwrap().document_id, "review_002");
}

#[test]
fn the_colour_is_that_of_a_field_that_makes_groups() {
    let mut desk = mapped(160, 42);
    assert!(desk.screen().contains("topic: ● audio 32"), "{}", desk.screen());
    desk.act(Action::NextColour);
    assert!(!desk.screen().contains("topic:"));
    desk.act(Action::NextColour);
    assert!(desk.screen().contains("topic:"));
}

#[test]
fn more_candidates_are_one_key_away() {
    let mut desk = answered(120, 24, reviews());
    desk.act(Action::NextCandidates);
    let candidates = |desk: &mut Desk<Search>| match &desk.reads()[..] {
        [Read::Search(read)] => read.terms.ef_search,
        other => panic!("{other:?}"),
    };
    assert_eq!(candidates(&mut desk), Some(20));
    assert!(desk.screen().contains("ef 20"));
    for wanted in [Some(40), Some(100), Some(200), Some(400), Some(1000), None] {
        desk.act(Action::NextCandidates);
        assert_eq!(candidates(&mut desk), wanted);
    }
}

#[test]
fn a_hit_leads_to_its_run() {
    let mut about = hit("0193fd55-93a4-7bd5-a1b3-5e6f0a4f8f6e/summary", 0.1, "it diverged");
    about.metadata.insert("experiment_id".to_owned(), 7.into());
    let mut desk = answered(80, 21, vec![about, hit("other", 0.2, "no run")]);
    desk.act(Action::GoRun);
    let key = Some("0193fd55-93a4-7bd5-a1b3-5e6f0a4f8f6e".to_owned());
    assert_eq!(desk.goals, [crate::tui::context::Goal::Run { id: 7, key }]);
    desk.act(Action::Down).act(Action::GoRun);
    assert!(desk.goals.len() == 1 && desk.toasts.last().unwrap().text.contains("about no run"));
}

fn stats(indexes: Vec<Index>) -> ModelStats {
    ModelStats {
        model_name: "labtop-static-384".to_owned(),
        dimension: 384,
        documents: 1204,
        bytes: 2_400_000,
        here: true,
        indexes,
    }
}

fn hnsw(state: IndexState) -> Index {
    Index {
        name: "labtop_static_hnsw_cosine".to_owned(),
        model_name: "labtop-static-384".to_owned(),
        kind: IndexKind::Hnsw,
        distance: Some(Distance::Cosine),
        half: false,
        m: Some(16),
        ef_construction: Some(64),
        state,
        bytes: 9_000_000,
        scans: 42,
    }
}

#[test]
fn indexes_are_shown_built_and_dropped() {
    let data = Data { documents: vec![stats(vec![hnsw(IndexState::Ready)])], ..Data::default() };
    let mut stage = Stage::new(120, 30, data);
    stage.press("2I");
    insta::assert_snapshot!("indexes", body(&stage.screen()));
    stage.press("b<tab>x<enter>");
    assert!(stage.screen().contains("unknown metric 'cosinex'"), "{}", stage.screen());
    stage.press("<backspace><enter>");
    let over = Over::Vectors { distance: Distance::Cosine, m: 16, ef_construction: 64 };
    let new = NewIndex { model_name: "labtop-static-384".to_owned(), over };
    assert!(stage.commands().contains(&&Command::Write(Write::BuildIndex(new))));

    let what = "indexing labtop-static-384 for cosine: loading tuples".to_owned();
    let job =
        JobUpdate { ticket: Ticket(900), what, state: JobState::Running, done: 301, total: 1204, failed: 0 };
    stage.hear(Event::Job(job.clone()));
    assert!(stage.screen().contains("▓▓▓▓▓▓░░░░░░░░░░░░░░░░░░  25 %"), "{}", stage.screen());
    stage.press("x");
    assert!(stage.commands().contains(&&Command::Cancel(Cancel::Job(Ticket(900)))));
    stage.hear(Event::Job(JobUpdate { state: JobState::Cancelled, ..job }));
    assert!(stage.screen().contains("nothing is left behind"));
    stage.press("dy");
    let drop = Command::Write(Write::DropIndex("labtop_static_hnsw_cosine".to_owned()));
    assert!(stage.commands().contains(&&drop));
}

#[test]
fn a_file_is_added_with_what_the_form_says() {
    let mut stage = Stage::new(80, 24, Data::default());
    stage.press("2A<enter>");
    assert!(stage.screen().contains("which file?"), "{}", stage.screen());
    stage.press("notes.txt<tab>x<enter>");
    assert!(stage.screen().contains("none of documents, collection, both"), "{}", stage.screen());
    stage.press("<backspace><tab>notes<enter>");
    assert!(stage.screen().contains("say collection or both here"), "{}", stage.screen());
    for _ in "documents".chars() {
        stage.press("<backspace>");
    }
    stage.press("both<tab><tab><tab><tab>year, topic<enter>");
    let form = IngestForm {
        path: "notes.txt".into(),
        place: IngestPlace::Both,
        collection: Some("notes".to_owned()),
        metadata: Some(vec!["year".to_owned(), "topic".to_owned()]),
        ..IngestForm::default()
    };
    assert!(stage.commands().contains(&&Command::Write(Write::Ingest(form))));
}
