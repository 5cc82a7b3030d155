// Relative addresses work behind any path prefix. With system fonts nothing is fetched from another host.
const font = "system-ui, sans-serif";
Redoc.init(
  "openapi.json",
  { hideLoading: true, theme: { typography: { fontFamily: font, headings: { fontFamily: font } } } },
  document.getElementById("redoc"),
);
