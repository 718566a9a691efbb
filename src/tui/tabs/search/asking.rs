//! What is asked, and how: the switches of the tab.

use unicode_segmentation::UnicodeSegmentation;

use super::*;

/// The shortest word that is lit.
const SHORTEST: usize = 3;

/// Steps of `ef_search`.
const CANDIDATES: [u32; 6] = [20, 40, 100, 200, 400, 1000];

impl Search {
    pub(super) fn search(&mut self, cx: &mut Context<'_>) {
        self.again = false;
        let Some(query) = self.query.clone() else { return };
        let terms = SearchTerms {
            limit: self.limit,
            distance: self.distance,
            exact: self.exact,
            model: self.model.clone(),
            filter: self.filter.clone(),
            ef_search: self.ef_search,
        };
        if self.versus {
            let read = SearchRead { query: query.clone(), terms: terms.clone() };
            self.engines.load(cx.read(Slot::Engines, Read::Engines(read)));
        }
        let read = match query {
            SearchQuery::Text(text) if self.words => Read::Hybrid(HybridRead { text, terms }),
            query => Read::Search(SearchRead { query, terms }),
        };
        self.found.load(cx.read(Slot::Search, read));
    }

    /// What follows when another hit is selected.
    pub(super) fn select_hit(&mut self) {
        self.forget_spot();
        self.show_selected();
    }

    pub(super) fn ask(&mut self, query: SearchQuery, cx: &mut Context<'_>) {
        self.query = Some(query);
        self.cursor = Cursor::default();
        self.focus = Focus::Hits;
        self.forget_spot();
        self.search(cx);
    }

    pub(super) fn next_distance(&mut self, cx: &mut Context<'_>) {
        let place = Distance::ALL.iter().position(|distance| *distance == self.distance).unwrap_or(0);
        self.distance = Distance::ALL[(place + 1) % Distance::ALL.len()];
        self.search(cx);
    }

    pub(super) fn toggle_exact(&mut self, cx: &mut Context<'_>) {
        self.exact = !self.exact;
        self.search(cx);
    }

    pub(super) fn next_candidates(&mut self, cx: &mut Context<'_>) {
        self.ef_search = match self.ef_search {
            None => CANDIDATES.first().copied(),
            Some(now) => CANDIDATES.into_iter().find(|candidates| *candidates > now),
        };
        self.search(cx);
    }

    pub(super) fn toggle_words(&mut self, cx: &mut Context<'_>) {
        self.words = !self.words;
        if self.words && matches!(self.query, Some(SearchQuery::Document { .. })) {
            cx.toast(Tone::Plain, "words count from the next text on: like a document is by meaning alone");
        }
        self.search(cx);
    }

    /// The models with documents, one after another, and then the one that new documents are embedded by.
    pub(super) fn next_model(&mut self, cx: &mut Context<'_>) {
        let models = self.models.data().map_or(&[][..], Vec::as_slice);
        let names: Vec<&str> =
            models.iter().filter(|model| model.documents > 0).map(|model| model.name.as_str()).collect();
        if names.is_empty() {
            return cx.toast(Tone::Plain, "no documents are stored yet");
        }
        let next = match &self.model {
            None => names.first(),
            Some(model) => {
                let place = names.iter().position(|name| name == model);
                place.and_then(|place| names.get(place + 1))
            }
        };
        self.model = next.map(|name| (*name).to_owned());
        match self.query {
            Some(_) => self.search(cx),
            None => self.read_map(cx),
        }
    }

    pub(super) fn change_limit(&mut self, more: bool, cx: &mut Context<'_>) {
        let next = if more {
            LIMITS.into_iter().find(|limit| *limit > self.limit)
        } else {
            LIMITS.into_iter().rev().find(|limit| *limit < self.limit)
        };
        if let Some(limit) = next {
            self.limit = limit;
            self.search(cx);
        }
    }

    /// One that cannot be read stays to be put right.
    pub(super) fn type_filter(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        let Typed::Submit(text) = self.narrow.key(key) else { return };
        match text.parse() {
            Ok(filter) => {
                self.filter = filter;
                self.search(cx);
            }
            Err(problem) => {
                let problem: String = problem;
                cx.toast(Tone::Bad, problem);
                self.narrow.focus();
            }
        }
    }

    pub(super) fn toggle_versus(&mut self, cx: &mut Context<'_>) {
        self.versus = !self.versus;
        if !self.versus {
            self.engines.clear();
        } else if self.query.is_some() {
            self.search(cx);
        } else {
            cx.toast(Tone::Plain, "the next question goes to every engine that holds the same documents");
        }
    }

    pub(super) fn fill_engines(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        let result = match result {
            Ok(Answer::Engines(sides)) => Ok(sides.clone()),
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        self.engines.fill(ticket, result);
    }

    /// The words of the question that are worth lighting, in lower case.
    pub(super) fn asked_words(&self) -> Vec<String> {
        match &self.query {
            Some(SearchQuery::Text(text)) => text
                .unicode_words()
                .map(str::to_lowercase)
                .filter(|word| word.chars().count() >= SHORTEST)
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// A hit of a hybrid search without its ranks.
pub(super) fn plain(hit: &HybridHit) -> DocumentHit {
    DocumentHit {
        document_id: hit.document_id.clone(),
        model_name: hit.model_name.clone(),
        content: hit.content.clone(),
        metadata: hit.metadata.clone(),
        distance: hit.distance.unwrap_or(f64::NAN),
    }
}

pub(super) fn ranks(hit: &HybridHit) -> Ranks {
    Ranks { meaning: hit.vector_rank, words: hit.text_rank }
}
