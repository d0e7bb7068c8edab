"""A page as a reader meets it: words, headings, links."""

import html.parser
import re


class Words(html.parser.HTMLParser):
    """Collects a page's words, its headings' levels, its ids and links."""

    def __init__(self, page):
        super().__init__()
        self.words, self.levels, self.ids, self.links = [], [], [], []
        self.feed(page.partition("</head>")[2])
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if "id" in given:
            self.ids.append(given["id"])
        if given.get("href", "").startswith("#"):
            self.links.append(given["href"][1:])

    def handle_data(self, data):
        self.words.append(data)


class Elements(html.parser.HTMLParser):
    """Collects a page's elements and their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
