"""Search in Chinese, which has no spaces between words: pages are found by the characters and pairs of neighbours."""

import re
from itertools import pairwise

from sphinx.search.en import SearchEnglish


class SearchChinese(SearchEnglish):
    """Sphinx's own finds no Chinese word without a package that knows words, and asks for a stemmer that is not there.

    What is English between Chinese words is found as on English pages.
    """

    lang = "zh"
    js_splitter_code = r"""
function splitQuery(query) {
  const runs = query.match(/[\u4e00-\u9fff]+|[A-Za-z0-9_]+/g) || [];
  return runs.flatMap(function (run) {
    if (run.length === 1 || /\w/.test(run)) return [run];
    return Array.from(run.slice(1), function (next, i) { return run[i] + next; });
  });
}
"""

    def split(self, input):
        words = re.findall(r"[A-Za-z0-9_]+", input)
        for run in re.findall(r"[\u4e00-\u9fff]+", input):
            words += [*run, *map("".join, pairwise(run))]
        return words


def setup(app):
    app.add_search_language(SearchChinese)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
